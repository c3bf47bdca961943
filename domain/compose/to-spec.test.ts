import { describe, expect, it } from 'vitest';
import { ANYWHERE, describeConstraint } from '../placement/policy.ts';
import { DEFAULT_ROLLOUT } from '../rollout-policy.ts';
import { isSameService } from '../same-service.ts';
import { PLAIN_CONTAINER, type ServiceSpec } from '../spec.ts';
import { toComposeInput } from './to-spec.ts';
import { translateCompose } from './translate.ts';

const DIGEST = `sha256:${'d'.repeat(64)}`;

function specOf(services: object, contexts: Record<string, string> = {}, rollout = DEFAULT_ROLLOUT) {
  return toComposeInput(translateCompose({ services }, { variables: {} }), { contexts, rollout, placement: ANYWHERE });
}

describe('the spec of a Compose file', () => {
  it('has its services in the order in which they need each other, and what each says of its container', () => {
    const spec = specOf({
      web: {
        image: 'nginx:1',
        ports: ['80', '8443:443'],
        depends_on: { db: { condition: 'service_healthy' }, cache: { condition: 'service_started' } },
        read_only: true,
        user: '1000',
        tmpfs: '/run:size=1M',
        stop_grace_period: '1m',
      },
      cache: { image: 'redis:7', expose: ['6379'] },
      db: { image: 'postgres:16', healthcheck: { test: ['CMD', 'pg_isready'] } },
    });
    expect(spec.services.map(({ name, port, needs }) => [name, port, needs])).toEqual([
      ['cache', null, []],
      ['db', null, []],
      ['web', 80, ['db']],
    ]);
    const container = {
      user: '1000',
      readOnly: true,
      stopGraceMs: 60_000,
      tmpfs: [{ path: '/run', sizeBytes: 2 ** 20 }],
    };
    expect(spec.services[2]?.container).toEqual({ ...PLAIN_CONTAINER, ...container, checkPort: 80 });
    expect(spec.services[0]?.container.checkPort).toBe(6379);
  });

  it('says that only one port of a service has an address', () => {
    const { warnings } = specOf({ web: { image: 'nginx:1', ports: ['80', '8080'] } });
    expect(warnings).toEqual(['services.web.ports: the ingress leads to 80; 8080 only to the other services']);
  });

  it('finds the folders that are built among the uploaded ones, and refuses what is not there', () => {
    const services = { web: { build: { context: './web', target: 'run', args: { A: '1' } } } };
    const sha = 'a'.repeat(64);
    expect(specOf(services, { web: sha }).services[0]?.source).toEqual({
      ...{ kind: 'dockerfile', contextSha256: sha, dockerfilePath: 'Dockerfile', target: 'run' },
      args: [{ name: 'A', value: '1' }],
    });
    expect(() => specOf(services)).toThrow(/services\.web\.build: web is not uploaded/);
    expect(() => specOf(services, { web: 'x' })).toThrow(/contexts\[web\]: not a digest/);
    expect(() => specOf(services, JSON.parse('{"__proto__": "x"}') as Record<string, string>)).toThrow('not uploaded');
  });

  it('refuses a canary, of which only one service would tell anything', () => {
    const rollout = { strategy: 'canary', steps: [{ weightPercent: 10, gate: { kind: 'approval' } }] } as never;
    expect(() => specOf({ web: { image: 'nginx:1' } }, {}, rollout)).toThrow(/spec\.rollout\.canary/);
  });
});

describe('a service', () => {
  const [base] = specOf({ web: { image: 'nginx:1', environment: { A: '1' } } }).services;
  const sealed = (text: string, fingerprint = 'f') => [{ name: 'A', sealed: text, fingerprint }];
  const web: ServiceSpec = { ...(base as unknown as ServiceSpec), environment: sealed('one') };
  const running = { service: web, digest: DIGEST };

  it.each<[string, Partial<ServiceSpec>, string | null, boolean]>([
    ['the same', {}, null, true],
    ['a value that was sealed again', { environment: sealed('two') }, null, true],
    ['another number of replicas', { replicas: 9 }, null, true],
    ['other needs', { needs: ['db'] }, null, true],
    ['the digest that it runs', {}, DIGEST, true],
    ['another digest', {}, `sha256:${'e'.repeat(64)}`, false],
    ['another value', { environment: sealed('one', 'g') }, null, false],
    ['another port', { port: 81 }, null, false],
    ['a container of other settings', { container: { ...PLAIN_CONTAINER, readOnly: true } }, null, false],
    ['another tag', { source: { kind: 'image', reference: 'nginx:2' } }, null, false],
  ])('stays for %s: %#', (_, change, digest, isSame) => {
    expect(isSameService(running, { service: { ...web, ...change }, digest })).toBe(isSame);
  });

  it('stays at a commit, and is replaced where its branch may have moved', () => {
    const repository = {
      kind: 'git',
      url: 'https://git.example.com/a.git',
      subdirectory: '',
      submodules: false,
    } as const;
    for (const [ref, isSame] of [
      ['main', false],
      ['HEAD', false],
      ['v1', false],
      ['a'.repeat(40), true],
    ] as const) {
      const service = { ...web, source: { ...repository, ref } };
      expect(isSameService({ service, digest: DIGEST }, { service, digest: null })).toBe(isSame);
    }
  });

  it('is replaced where its tag may have moved, or nobody knows what it runs', () => {
    for (const source of [
      { kind: 'image', reference: 'nginx:latest' },
      { kind: 'image', reference: 'nginx:1', pullPolicy: 'always' },
    ] as const) {
      const service = { ...web, source };
      expect(isSameService({ service, digest: DIGEST }, { service, digest: null })).toBe(false);
      expect(isSameService({ service, digest: DIGEST }, { service, digest: DIGEST })).toBe(true);
    }
    expect(isSameService({ service: web, digest: null }, { service: web, digest: null })).toBe(false);
  });
});

describe('what services say of their node', () => {
  const placed = (constraints: readonly string[]) => ({ image: 'nginx', deploy: { placement: { constraints } } });

  it('holds for all of them, since they are on one', () => {
    const services = {
      web: placed(['node.labels.region == eu', 'node.platform.arch==x86_64']),
      api: placed(['node.labels.region==eu', 'node.hostname!=old']),
    };
    expect(specOf(services).placement?.constraints.map(describeConstraint)).toEqual([
      'node.labels.region==eu',
      'node.architecture==amd64',
      'node.hostname!=old',
    ]);
  });

  it('is refused by its place where it is none', () => {
    expect(() => specOf({ web: placed(['node.role==manager']) })).toThrow(
      /^services\.web\.deploy\.placement\.constraints\[0\]: found "node.role==manager"/,
    );
    const most = { image: 'nginx', deploy: { placement: { max_replicas_per_node: 1 } } };
    expect(() => specOf({ web: most })).toThrow(/placement\.max_replicas_per_node.*one node/);
  });
});
