import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { DomainError } from './errors.ts';
import { ANYWHERE } from './placement/policy.ts';
import { DEFAULT_ROLLOUT } from './rollout-policy.ts';
import { DEFAULT_HEALTH_CHECK, DEFAULT_LIMITS, type GitSource, type VariableInput } from './spec.ts';
import { parseSpec, type RawHealthCheck, type RawSpec } from './spec-parse.ts';

const RULES = { registries: { allowedRegistries: [] }, git: { allowedHosts: [] } };

function aRawSpec(changes: Partial<RawSpec> = {}): RawSpec {
  const unset = { replicas: undefined, port: undefined, healthCheck: undefined, restartPolicy: undefined };
  const policy = { rollout: undefined };
  const source = { kind: 'image', reference: 'nginx:1' } as const;
  return {
    source,
    environment: [],
    command: [],
    cpuCores: undefined,
    memoryBytes: undefined,
    ...unset,
    ...policy,
    ...changes,
  };
}

function aCheck(changes: Partial<RawHealthCheck>): RawHealthCheck {
  const unset = { intervalMs: undefined, timeoutMs: undefined, retries: undefined, startPeriodMs: undefined };
  return { probe: { kind: 'automatic' }, ...unset, ...changes };
}

function refusal(raw: RawSpec): DomainError {
  try {
    parseSpec(raw, RULES);
  } catch (error) {
    if (error instanceof DomainError) return error;
    throw error;
  }
  throw new Error('the spec was accepted');
}

const dockerfile = (dockerfilePath: string, contextSha256 = 'a'.repeat(64)) =>
  ({ source: { kind: 'dockerfile', contextSha256, dockerfilePath } }) as const;

const git = (changes: Partial<GitSource<VariableInput>> = {}) => {
  const source = { url: 'https://git.example.com/acme/shop.git', ref: '', subdirectory: '', submodules: false };
  return { source: { kind: 'git', ...source, ...changes } } as const;
};

const http = (path: string, expectedStatus: number | null = null) =>
  ({ port: 80, healthCheck: aCheck({ probe: { kind: 'http', path, expectedStatus } }) }) as const;

describe('a spec', () => {
  it('gets its defaults', () => {
    expect(parseSpec(aRawSpec(), RULES)).toEqual({
      source: { kind: 'image', reference: 'nginx:1' },
      volumes: [],
      placement: ANYWHERE,
      replicas: null,
      port: null,
      environment: [],
      healthCheck: DEFAULT_HEALTH_CHECK,
      limits: DEFAULT_LIMITS,
      restartPolicy: 'always',
      command: [],
      rollout: DEFAULT_ROLLOUT,
    });
    expect(parseSpec(aRawSpec(dockerfile('')), RULES).source).toMatchObject({ dockerfilePath: 'Dockerfile' });
  });

  it.each<[string, Partial<RawSpec>]>([
    ['spec.source', { source: undefined }],
    ['spec.image.reference', { source: { kind: 'image', reference: '' } }],
    ['spec.static.context_sha256', { source: { kind: 'static', contextSha256: 'x', folder: '' } }],
    ['spec.static.folder', { source: { kind: 'static', contextSha256: 'a'.repeat(64), folder: '../x' } }],
    ['spec.static.folder', { source: { kind: 'static', contextSha256: 'a'.repeat(64), folder: '/x' } }],
    ['spec.git.url', git({ url: 'https://10.0.0.1/a.git' })],
    ['spec.git.url', git({ url: 'https://LOCALHOST/a.git' })],
    ['spec.git.url', git({ url: 'ext::sh -c id' })],
    ['spec.git.url', git({ url: '--upload-pack=id' })],
    ['spec.git.url', git({ url: 'file:///etc' })],
    ['spec.git.url', git({ url: 'https://user:secret@git.example.com/a.git' })],
    ['spec.git.ref', git({ ref: '--all' })],
    ['spec.git.ref', git({ ref: 'main~1' })],
    ['spec.git.ref', git({ ref: 'a\nb' })],
    ['spec.git.subdirectory', git({ subdirectory: '../up' })],
    ['spec.git.subdirectory', git({ subdirectory: '.git/hooks' })],
    ['spec.git.dockerfile_path', git({ dockerfilePath: '../Dockerfile' })],
    ['spec.git.target', git({ target: '-x' })],
    ['spec.git.args[0].name', git({ args: [{ name: '1X', value: '' }] })],
    ['spec.dockerfile.context_sha256', dockerfile('', 'A'.repeat(64))],
    ['spec.dockerfile.dockerfile_path', dockerfile('../Dockerfile')],
    ['spec.dockerfile.dockerfile_path', dockerfile('/etc/passwd')],
    ['spec.dockerfile.dockerfile_path', dockerfile('a//b')],
    ['spec.dockerfile.dockerfile_path', dockerfile('a\nb')],
    ['spec.port', { port: 0 }],
    ['spec.port', { port: 70_000 }],
    ['spec.port', { port: 80.5 }],
    ['spec.replicas', { replicas: 10_001 }],
    ['spec.replicas', { replicas: -1 }],
    ['spec.limits.memory_bytes', { memoryBytes: 6 * 1024 * 1024 - 1 }],
    ['spec.limits.memory_bytes', { memoryBytes: 2 ** 60 }],
    ['spec.limits.cpu_cores', { cpuCores: 0 }],
    ['spec.limits.cpu_cores', { cpuCores: Number.NaN }],
    ['spec.environment[0].name', { environment: [{ name: 'A=B', value: '' }] }],
    ['spec.environment[0].name', { environment: [{ name: 'A\0', value: '' }] }],
    ['spec.environment[0].name', { environment: [{ name: 'A\n', value: '' }] }],
    ['spec.environment[0].name', { environment: [{ name: '1A', value: '' }] }],
    [
      'spec.environment[1].name',
      {
        environment: [
          { name: 'A', value: '' },
          { name: 'A', value: '' },
        ],
      },
    ],
    ['spec.environment[0].value', { environment: [{ name: 'A', value: 'x\0y' }] }],
    ['spec.environment[0].value', { environment: [{ name: 'A', value: 'é'.repeat(40_000) }] }],
    ['spec.environment', { environment: Array.from({ length: 1001 }, (_, i) => ({ name: `A${i}`, value: '' })) }],
    [
      'spec.environment',
      { environment: Array.from({ length: 6 }, (_, i) => ({ name: `A${i}`, value: 'x'.repeat(50_000) })) },
    ],
    ['spec.health_check', { healthCheck: aCheck({ probe: undefined }) }],
    ['spec.health_check.http', { ...http('/'), port: undefined }],
    ['spec.health_check.http.path', http('health')],
    ['spec.health_check.http.path', http('/a b')],
    ['spec.health_check.http.path', http('/a\r\nhost: x')],
    ['spec.health_check.http.expected_status', http('/', 42)],
    ['spec.health_check.command.command', { healthCheck: aCheck({ probe: { kind: 'command', command: [] } }) }],
    ['spec.health_check.interval', { healthCheck: aCheck({ intervalMs: 99 }) }],
    ['spec.health_check.timeout', { healthCheck: aCheck({ timeoutMs: 300_001 }) }],
    ['spec.health_check.retries', { healthCheck: aCheck({ retries: 0 }) }],
    ['spec.health_check.start_period', { healthCheck: aCheck({ startPeriodMs: 3_600_001 }) }],
    ['spec.command[1]', { command: ['a', 'b\0'] }],
    ['spec.command', { command: Array.from({ length: 257 }, () => 'x') }],
    ['spec.command', { command: ['x'.repeat(40_000)] }],
  ])('is refused for %s: %j', (field, changes) => {
    const { code, message, field: named } = refusal(aRawSpec(changes));
    expect({ code, named }).toEqual({ code: 'INVALID_ARGUMENT', named: field });
    expect(message).toMatch(/; allowed is ./);
  });

  it('names a repository in one spelling, and its default branch by HEAD', () => {
    const { source } = parseSpec(aRawSpec(git({ url: 'https://Git.Example.com/acme/shop.git/' })), RULES);
    expect(source).toEqual({ ...git().source, ref: 'HEAD' });
    const allowed = { ...RULES, git: { allowedHosts: ['git.internal:8443'] } };
    const inside = git({ url: 'https://git.internal:8443/a.git', ref: 'v1', subdirectory: 'web/' });
    expect(parseSpec(aRawSpec(inside), allowed).source).toMatchObject({ ref: 'v1', subdirectory: 'web' });
  });

  it('never shows a value of a variable in its refusal', () => {
    fc.assert(
      fc.property(fc.string({ minLength: 6 }), (secret) => {
        const environment = [{ name: 'TOKEN', value: `${secret}\0` }];
        expect(refusal(aRawSpec({ environment })).message).not.toContain(secret);
      }),
    );
  });

  it('keeps any other text in values and arguments as it is', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), (text) => {
        fc.pre(!text.includes('\0'));
        const spec = parseSpec(aRawSpec({ environment: [{ name: 'A', value: text }], command: [text] }), RULES);
        expect([spec.environment[0]?.value, spec.command[0]]).toEqual([text, text]);
      }),
    );
  });
});
