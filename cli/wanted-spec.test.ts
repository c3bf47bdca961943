import { create, toJson } from '@bufbuild/protobuf';
import { describe, expect, it } from 'vitest';
import {
  type DeploymentSpec,
  DeploymentSpecSchema,
  PullPolicy,
  RestartPolicy,
} from '../gen/obiente/cloud/v1/spec_pb.ts';
import { parseAppFile } from './app-file.ts';
import { type DeployOptions, readWishes } from './deploy-options.ts';
import { wantedSpec } from './wanted-spec.ts';

const IMAGE = { kind: 'image', reference: 'nginx:2' } as const;

function wishesOf(options: DeployOptions, app = '', more: { envFiles?: string[]; env?: Record<string, string> } = {}) {
  return readWishes({ options, app: parseAppFile(app), envFiles: more.envFiles ?? [], env: more.env ?? {} });
}

const PRESENT = create(DeploymentSpecSchema, {
  source: { case: 'image', value: { reference: 'nginx:1' } },
  replicas: 3,
  port: 80,
  environment: [
    { name: 'KEPT', fingerprint: 'aaaaaaaaaaaa' },
    { name: 'CHANGED', fingerprint: 'bbbbbbbbbbbb' },
    { name: 'GONE', fingerprint: 'cccccccccccc' },
  ],
  limits: { cpuCores: 2, memoryBytes: 1000n },
  restartPolicy: RestartPolicy.ALWAYS,
  command: ['nginx'],
});

describe('what a deploy asks for', () => {
  it('is a repository, by the options over the file where that names the same one', () => {
    const app = 'git: { url: https://github.com/acme/shop, ref: next, subdirectory: web }\n';
    const wish = (options: DeployOptions, file = app) => wishesOf(options, file).git;
    expect(wish({})).toMatchObject({ ref: 'next', subdirectory: 'web', submodules: false });
    expect(wish({ ref: 'main', submodules: true })).toMatchObject({
      ref: 'main',
      subdirectory: 'web',
      submodules: true,
    });
    const other = { url: 'https://github.com/acme/other', ref: '', subdirectory: '', submodules: false };
    expect(wish({ git: other.url })).toEqual(other);
    expect(wish({}, 'git: https://github.com/acme/other\n')).toEqual(other);
    expect(() => wish({ ref: 'main' }, '')).toThrow('--ref');
    const source = { kind: 'git', ...other, ref: 'main', dockerfile: 'Dockerfile.web' } as const;
    const spec = wantedSpec({ present: undefined, source, wishes: wishesOf({}) });
    const git = { url: other.url, ref: 'main', dockerfilePath: 'Dockerfile.web' };
    expect(toJson(DeploymentSpecSchema, spec)).toEqual({ git });
  });

  it('is the Compose file of a repository, with values for its variables, for as long as that repository is meant', () => {
    const url = 'https://github.com/acme/shop';
    const source = { kind: 'git', url, ref: 'main', subdirectory: '', submodules: false, dockerfile: '' } as const;
    const of = (wanted: Parameters<typeof wantedSpec>[0]['source'], present?: DeploymentSpec, options = {}) =>
      toJson(DeploymentSpecSchema, wantedSpec({ present, source: wanted, wishes: wishesOf(options) }));
    const first = of({ ...source, compose: 'deploy/compose.yaml' }, undefined, { env: ['TOKEN=x'] });
    const file = { url, ref: 'main', composePath: 'deploy/compose.yaml' };
    expect(first).toEqual({ git: file, environment: [{ name: 'TOKEN', value: 'x' }] });

    const present = create(DeploymentSpecSchema, {
      source: { case: 'compose', value: { git: { ...file, commit: 'a'.repeat(40) } } },
      environment: [{ name: 'TOKEN', fingerprint: 'aaaaaaaaaaaa' }],
      placement: { near: 'db', constraints: ['node.labels.region==eu'] },
    });
    const kept = { environment: [{ name: 'TOKEN' }], placement: { near: 'db' } };
    expect(of(source, present)).toEqual({ git: file, ...kept });
    expect(of({ ...source, compose: '' }, present)).toEqual({ git: { ...file, composePath: '' }, ...kept });
    expect(of({ ...source, dockerfile: 'Dockerfile' }, present)).toMatchObject({
      git: { url, ref: 'main', dockerfilePath: 'Dockerfile' },
    });
    expect(of({ ...source, url: 'https://github.com/acme/other' }, present)).toMatchObject({
      git: { url: 'https://github.com/acme/other', ref: 'main' },
    });
    const found = create(DeploymentSpecSchema, { source: { case: 'compose', value: { git: { url } } } });
    expect(of(source, found)).toEqual({ git: { url, ref: 'main' } });
  });

  it('is nothing but the source when nothing is wished', () => {
    const spec = wantedSpec({ present: undefined, source: IMAGE, wishes: wishesOf({}) });
    expect(toJson(DeploymentSpecSchema, spec)).toEqual({ image: { reference: 'nginx:2' } });
  });

  it('keeps what an update does not name, and sends no number of replicas, value or fingerprint of what is kept', () => {
    const options = { env: ['CHANGED=new', 'ADDED=x=y'], unsetEnv: ['GONE'], memory: '64MiB' };
    const spec = wantedSpec({ present: PRESENT, source: IMAGE, wishes: wishesOf(options) });
    expect(toJson(DeploymentSpecSchema, spec)).toEqual({
      image: { reference: 'nginx:2' },
      port: 80,
      environment: [{ name: 'KEPT' }, { name: 'CHANGED', value: 'new' }, { name: 'ADDED', value: 'x=y' }],
      limits: { cpuCores: 2, memoryBytes: '67108864' },
      restartPolicy: 'RESTART_POLICY_ALWAYS',
      command: ['nginx'],
    });
  });

  it('asks the registry as wished, as before when nothing is wished, and by the tag again with auto', () => {
    const of = (present: DeploymentSpec | undefined, options: DeployOptions, app = '') => {
      const wishes = wishesOf({ image: 'nginx:2', ...options }, app);
      return wantedSpec({ present, source: IMAGE, wishes });
    };
    const policyOf = ({ source }: DeploymentSpec) => source.case === 'image' && source.value.pullPolicy;
    const always = of(PRESENT, { pull: 'always' });
    expect(policyOf(always)).toBe(PullPolicy.ALWAYS);
    expect(policyOf(of(always, {}))).toBe(PullPolicy.ALWAYS);
    expect(policyOf(of(always, { pull: 'auto' }))).toBe(PullPolicy.UNSPECIFIED);
    expect(policyOf(of(always, {}, 'pull: if-not-present'))).toBe(PullPolicy.IF_NOT_PRESENT);
    expect(() => of(PRESENT, { pull: 'never' })).toThrow(/--pull: "never" is not allowed/);
    expect(() => wishesOf({ pull: 'always' })).toThrow('--pull: is for images');
  });

  it('is the same when it is asked for again, so that a repetition is one', () => {
    const wishes = wishesOf({ replicas: '5', port: '8080', env: ['CHANGED=new'] });
    const once = wantedSpec({ present: PRESENT, source: IMAGE, wishes });
    const again = wantedSpec({ present: once, source: IMAGE, wishes });
    expect(again).toEqual(once);
  });

  it('takes options over the file, and the later variable over the earlier', () => {
    const app = 'port: 80\nreplicas: 2\nenv: { A: file, B: file, C: file, OWN: null }';
    const wishes = wishesOf({ port: '81', env: ['A=typed'] }, app, {
      envFiles: ['A=dot\nB="dot"'],
      env: { OWN: 'mine' },
    });
    expect(wishes).toMatchObject({ port: 81, replicas: 2 });
    expect(Object.fromEntries(wishes.variables)).toEqual({ A: 'typed', B: 'dot', C: 'file', OWN: 'mine' });
  });

  it('takes the port away with --no-port', () => {
    const spec = wantedSpec({ present: PRESENT, source: IMAGE, wishes: wishesOf({ port: false }) });
    expect(spec.port).toBeUndefined();
  });

  it.each([
    [{ healthPath: '/up', healthStatus: '204' }, '', { http: { path: '/up', expectedStatus: 204 } }],
    [{ healthCommand: 'test -f /ok' }, '', { command: { command: ['/bin/sh', '-c', 'test -f /ok'] } }],
    [{ health: false }, 'health: { path: /up }', { none: {} }],
    [
      {},
      'health: { command: [ok], interval: 1500ms, retries: 2 }',
      { command: { command: ['ok'] }, interval: '1.500s', retries: 2 },
    ],
    [{}, 'health: { automatic: true, startPeriod: 5s }', { automatic: {}, startPeriod: '5s' }],
    [{}, 'health: automatic', { automatic: {} }],
  ])('says how health is found out: %j %j', (options, app, expected) => {
    const spec = wantedSpec({ present: undefined, source: IMAGE, wishes: wishesOf(options, app) });
    expect(toJson(DeploymentSpecSchema, spec)).toMatchObject({ healthCheck: expected });
  });

  it.each([
    [{ replicas: '10001' }, /--replicas/],
    [{ port: '0' }, /--port/],
    [{ port: '70000' }, /--port.*65535/],
    [{ memory: 'x' }, /--memory/],
    [{ restart: 'sometimes' }, /--restart.*always, on-failure and never/],
    [{ healthPath: 'up' }, /--health-path.*does not begin with/],
    [{ healthPath: '/up', health: false }, /only one of/],
    [{ healthStatus: '200' }, /--health-status: needs --health-path/],
    [{ env: ['1A=x'] }, /"1A" is no name/],
    [{ env: ['=x'] }, /"" is no name/],
    [{ env: ['UNKNOWN'] }, /UNKNOWN has no value/],
  ])('refuses %j', (options, message) => {
    expect(() => wishesOf(options)).toThrow(message);
  });
});
