import { describe, expect, it } from 'vitest';
import { type HostFacts, judgeHost } from './host-checks.ts';

const GIB = 1024 ** 3;
const good: HostFacts = {
  ...{ dockerProblem: '', dockerVersion: '20.10.24+dfsg1', apiVersion: '1.41', liveRestore: true, isInSwarm: false },
  ...{
    cgroupDriver: 'systemd',
    cgroupVersion: '2',
    storageDriver: 'overlay2',
    osType: 'linux',
    architecture: 'x86_64',
  },
  ...{ rootDir: '/var/lib/docker', disk: { freeBytes: 50 * GIB, totalBytes: 100 * GIB } },
  ...{ clockAheadMs: 40, server: 'https://api.example.com' },
};

/** What is not well, as `name level`. */
function wrong(changes: Partial<HostFacts>): readonly string[] {
  const findings = judgeHost({ ...good, ...changes });
  return findings.filter(({ level }) => level !== 'ok').map(({ name, level }) => `${name} ${level}`);
}

describe('a host that wants to be a node', () => {
  it('joins when all is well, and each check is told', () => {
    expect(wrong({})).toEqual([]);
    expect(judgeHost(good).map(({ name }) => name)).toEqual([
      ...['control plane', 'clock', 'docker', 'docker api', 'live-restore', 'cgroups', 'storage', 'disk'],
      'architecture',
    ]);
  });

  it.each([
    [{ dockerVersion: '19.03.15' }, ['docker refused']],
    [{ dockerVersion: '20.9.1' }, ['docker refused']],
    [{ dockerVersion: 'dev' }, ['docker refused']],
    [{ dockerVersion: '29.0.0', apiVersion: '1.52' }, []],
    [{ apiVersion: '1.40' }, ['docker api refused']],
    [{ liveRestore: false }, ['live-restore warning']],
    [{ storageDriver: 'vfs' }, ['storage warning']],
    [{ osType: 'windows' }, ['storage refused']],
    [{ disk: { freeBytes: 9 * GIB, totalBytes: 100 * GIB } }, ['disk warning']],
    [{ disk: null }, ['disk warning']],
    [{ architecture: 'riscv64' }, ['architecture warning']],
    [{ clockAheadMs: -5_001 }, ['clock warning']],
    [{ clockAheadMs: 10_001 }, ['clock refused']],
    [{ clockAheadMs: null }, ['control plane refused']],
    [{ dockerProblem: 'docker cannot be reached' }, ['docker refused']],
  ] satisfies readonly (readonly [Partial<HostFacts>, readonly string[]])[])('with %j: %j', (changes, expected) => {
    expect(wrong(changes)).toEqual(expected);
  });

  it('is told the very line that turns live-restore on, but not in a swarm, where it cannot be on', () => {
    const fixOf = (changes: Partial<HostFacts>) =>
      judgeHost({ ...good, liveRestore: false, ...changes }).find(({ name }) => name === 'live-restore')?.fix;
    expect(fixOf({})).toContain('"live-restore": true');
    expect(fixOf({ isInSwarm: true })).toContain('docker swarm leave');
  });
});
