import { describe, expect, it } from 'vitest';
import { DEFAULT_ROLLOUT, type RolloutPolicy } from './rollout-policy.ts';
import { type DeploymentSpec, PLAIN_CONTAINER, type ServiceSpec, type VolumeMount } from './spec.ts';
import { parseSpec } from './spec-parse.ts';
import { checkVolumes, parseVolumeName, parseVolumes, volumeNames, volumeWriters, writesVolumes } from './volumes.ts';

const data: VolumeMount = { volume: 'data', path: '/data', readOnly: false };
const readOnly: VolumeMount = { ...data, readOnly: true };

const base = parseSpec(
  {
    ...{ source: { kind: 'image', reference: 'nginx:1' }, replicas: 1, port: undefined, environment: [] },
    ...{ healthCheck: undefined, cpuCores: undefined, memoryBytes: undefined, restartPolicy: undefined },
    ...{ command: [], rollout: undefined },
  },
  { registries: { allowedRegistries: [] }, git: { allowedHosts: [] } },
) as unknown as DeploymentSpec;

function aSpec(changes: object): DeploymentSpec {
  return { ...base, ...changes } as DeploymentSpec;
}

function aShop(
  services: Record<string, { volumes?: VolumeMount[]; replicas?: number }>,
  rollout = DEFAULT_ROLLOUT,
): DeploymentSpec {
  const list = Object.entries(services).map(([name, changes]) => {
    return { ...base, name, container: PLAIN_CONTAINER, needs: [], ...changes } as unknown as ServiceSpec;
  });
  return { services: list, rollout, warnings: [] };
}

describe('mounts that came in', () => {
  it('get paths of one form', () => {
    expect(parseVolumes('volumes', [{ ...data, path: '//var//lib/data/' }])).toEqual([
      { ...data, path: '/var/lib/data' },
    ]);
  });

  it.each<[string, Partial<VolumeMount>, RegExp]>([
    ['the root', { path: '/' }, /volumes\[0\]\.path/],
    ['what the kernel shows', { path: '/proc/1' }, /volumes\[0\]\.path/],
    ['the root by many slashes', { path: '///' }, /volumes\[0\]\.path/],
    ['a relative path', { path: 'data' }, /volumes\[0\]\.path/],
    ['a way out', { path: '/data/../etc' }, /volumes\[0\]\.path/],
    ['a control character', { path: '/da\nta' }, /volumes\[0\]\.path/],
    ['a path that is too long', { path: `/${'a'.repeat(512)}` }, /volumes\[0\]\.path/],
    ['a folder of the node', { volume: '/etc' }, /volumes\[0\]\.volume/],
    ['no name', { volume: '' }, /volumes\[0\]\.volume/],
    ['a hidden name', { volume: '.data' }, /volumes\[0\]\.volume/],
    ['a name that is too long', { volume: 'a'.repeat(128) }, /volumes\[0\]\.volume/],
  ])('are refused: %s', (_, changes, message) => {
    expect(() => parseVolumes('volumes', [{ ...data, ...changes }])).toThrow(message);
  });

  it('are refused when a path is used twice, or there are too many', () => {
    expect(() => parseVolumes('volumes', [data, { ...data, volume: 'other', path: '/data/' }])).toThrow(/\[1\]\.path/);
    const many = Array.from({ length: 65 }, (_, index) => ({ ...data, path: `/data-${index}` }));
    expect(() => parseVolumes('volumes', many)).toThrow(/65 mounts; allowed is at most 64/);
  });

  it('have names that Docker takes too', () => {
    expect(parseVolumeName('name', 'shop-Data_1.x')).toBe('shop-Data_1.x');
  });
});

describe('a spec with volumes', () => {
  it('writes what is not mounted read-only', () => {
    expect([writesVolumes({}), writesVolumes({ volumes: [readOnly] })]).toEqual([false, false]);
    expect(writesVolumes({ volumes: [readOnly, data] })).toBe(true);
    const shop = aShop({ web: { volumes: [readOnly] }, db: { volumes: [data] }, log: { volumes: [readOnly] } });
    expect(volumeNames(shop)).toEqual(['data']);
    expect([...volumeWriters(shop)]).toEqual([['data', 'db']]);
  });

  it.each<[string, DeploymentSpec]>([
    ['none', aSpec({ replicas: 5 })],
    ['one that is read by many', aSpec({ replicas: 5, volumes: [readOnly] })],
    ['one that is written by one', aSpec({ volumes: [data] })],
    ['one that is written by a service that is stopped', aSpec({ replicas: 0, volumes: [data] })],
    ['two places of one', aSpec({ volumes: [data, { ...data, path: '/more' }] })],
    ['one inside another', aSpec({ volumes: [data, { ...data, volume: 'more', path: '/data/more' }] })],
    ['one writer and readers', aShop({ db: { volumes: [data] }, web: { volumes: [readOnly], replicas: 3 } })],
    ['a writer that is recreated', aSpec({ volumes: [data], rollout: { strategy: 'recreate', approval: false } })],
  ])('is taken: %s', (_, spec) => {
    expect(() => checkVolumes(spec)).not.toThrow();
  });

  const canary: RolloutPolicy = { strategy: 'canary', steps: [{ weightPercent: 10, gate: { kind: 'approval' } }] };
  const blueGreen: RolloutPolicy = { strategy: 'blue-green', approval: false, keepOldMs: 0 };
  it.each<[string, DeploymentSpec, RegExp]>([
    ['two replicas that write', aSpec({ replicas: 2, volumes: [data] }), /^spec\.replicas: found 2/],
    ['two replicas of a service', aShop({ db: { volumes: [data], replicas: 2 } }), /^services\.db\.replicas/],
    ['two services', aShop({ a: { volumes: [data] }, b: { volumes: [data] } }), /^services\.b\.volumes: a writes data/],
    ['a canary', aSpec({ volumes: [data], rollout: canary }), /^spec\.rollout\.canary: data is written/],
    ['blue-green', aShop({ db: { volumes: [data] } }, blueGreen), /^spec\.rollout\.blue_green: data is written/],
    [
      'a mount in what is read-only',
      aSpec({ volumes: [readOnly, { ...data, volume: 'more', path: '/data/more' }] }),
      /^spec\.volumes: \/data\/more is inside \/data/,
    ],
  ])('is refused: %s', (_, spec, message) => {
    expect(() => checkVolumes(spec)).toThrow(message);
  });
});
