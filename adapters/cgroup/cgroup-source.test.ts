import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Counters, MeteredContainer } from '../../domain/metrics/reading.ts';
import { createCgroupSource } from './cgroup-source.ts';

const ID = 'ab'.repeat(32);
const CONTAINER: MeteredContainer = {
  id: ID,
  pid: 42,
  startedAt: '2026-01-01T00:00:00.5Z',
  deploymentId: 'd',
  replicaId: 'r1-0',
};

const NET_DEV = [
  'Inter-|   Receive                                                |  Transmit',
  ' face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed',
  '    lo:     999       9    0    0    0     0          0         0      999       9    0    0    0     0       0          0',
  '  eth0:    1000      10    0    0    0     0          0         0      200       2    0    0    0     0       0          0',
  '  eth1:     500       5    0    0    0     0          0         0       30       1    0    0    0     0       0          0',
].join('\n');

const VERSION_1 = {
  'cpuacct/docker/ID/cpuacct.usage': '12345678901234567\n',
  'cpuacct/docker/ID/cpuacct.stat': 'user 12\nsystem 3\n',
  'cpu/docker/ID/cpu.stat': 'nr_periods 4\nnr_throttled 2\nthrottled_time 77000\n',
  'memory/docker/ID/memory.usage_in_bytes': '5000\n',
  'memory/docker/ID/memory.stat': 'cache 1\ninactive_file 7\ntotal_cache 2500\ntotal_inactive_file 2000\n',
  'memory/docker/ID/memory.limit_in_bytes': '9223372036854771712\n',
  'memory/docker/ID/memory.oom_control': 'oom_kill_disable 0\nunder_oom 0\noom_kill 6\n',
  'blkio/docker/ID/blkio.throttle.io_serviced_recursive': '8:0 Read 10\n8:0 Write 3\n8:0 Total 13\nTotal 13\n',
  'blkio/docker/ID/blkio.throttle.io_service_bytes':
    '8:0 Read 100\n8:0 Write 30\n8:0 Total 130\n9:0 Read 1\nTotal 131\n',
  'pids/docker/ID/pids.current': '3\n',
};
const PROCESS_1 = ['cpuacct', 'cpu', 'memory', 'blkio', 'pids'].map(
  (name, index) => `${index + 2}:${name}:/docker/${ID}`,
);
const CONTROLLERS = ['cpuacct', 'cpu', 'memory', 'blkio', 'pids'];

const VERSION_2 = {
  'cpu.stat': 'usage_usec 1500\nuser_usec 1000\nsystem_usec 500\nnr_periods 4\nnr_throttled 2\nthrottled_usec 77\n',
  'memory.current': '5000\n',
  'memory.stat': 'anon 1\nfile 2500\ninactive_file 2000\n',
  'memory.max': '8192\n',
  'memory.events': 'low 0\nhigh 0\nmax 9\noom 7\noom_kill 6\n',
  'io.stat':
    '8:0 rbytes=100 wbytes=30 rios=7 wios=3 dbytes=0 dios=0\n8:16 rbytes=1 wbytes=0 rios=3 wios=0 dbytes=0 dios=0\n',
  'pids.current': '3\n',
};

describe('the kernel counter files', () => {
  let root: string;

  beforeEach(async () => {
    root = await mkdtemp(join(tmpdir(), 'obiente-cgroup-'));
  });
  afterEach(async () => await rm(root, { recursive: true }));

  async function write(files: Readonly<Record<string, string>>): Promise<void> {
    for (const [name, content] of Object.entries(files)) {
      const path = join(root, name.replace('ID', ID));
      await mkdir(dirname(path), { recursive: true });
      await writeFile(path, content);
    }
  }

  async function host(mounts: readonly string[], cgroups: readonly string[]) {
    await write({
      'proc/self/mountinfo': `${mounts.join('\n')}\n`,
      'proc/42/cgroup': `${cgroups.join('\n')}\n`,
      'proc/42/net/dev': NET_DEV,
    });
    return createCgroupSource({ procFolder: join(root, 'proc'), clock: { now: () => 1_000, monotonic: () => 5 } });
  }

  const version1 = (name: string): string =>
    `30 25 0:26 / ${root}/sys/${name} rw,relatime shared:9 - cgroup cgroup rw,${name}`;
  const version2 = (at: string, within = '/'): string =>
    `40 25 0:40 ${within} ${root}/${at} rw,relatime - cgroup2 cgroup2 rw`;
  const under = (folder: string, files: Readonly<Record<string, string>>) =>
    Object.fromEntries(Object.entries(files).map(([name, content]) => [join(folder, name), content]));

  const expected = (cpu: Partial<Counters>, memoryLimitBytes: number) => ({
    incarnation: CONTAINER.startedAt,
    source: 'cgroup',
    atMs: 1_000,
    clockMs: 5,
    counters: {
      ...cpu,
      cpuThrottledNanos: 77_000,
      networkReceiveBytes: 1500,
      networkTransmitBytes: 230,
      networkReceivePackets: 15,
      networkTransmitPackets: 3,
      diskReadBytes: 101,
      diskWriteBytes: 30,
      diskReadOperations: 10,
      diskWriteOperations: 3,
      oomKills: 6,
    },
    interfaces: {
      eth0: { receiveBytes: 1000, receivePackets: 10, transmitBytes: 200, transmitPackets: 2 },
      eth1: { receiveBytes: 500, receivePackets: 5, transmitBytes: 30, transmitPackets: 1 },
    },
    memoryBytes: 3000,
    memoryLimitBytes,
    pageCacheBytes: 2500,
    pids: 3,
  });
  const CPU_1 = { cpuNanos: 12_345_678_901_234_568, cpuUserNanos: 120_000_000, cpuSystemNanos: 30_000_000 };
  const CPU_2 = { cpuNanos: 1_500_000, cpuUserNanos: 1_000_000, cpuSystemNanos: 500_000 };

  async function readOnce(source: ReturnType<typeof createCgroupSource>) {
    const meter = source.open(CONTAINER);
    const reading = await meter?.read(new AbortController().signal);
    meter?.close();
    return reading;
  }

  it('are read on version 1, and on a hybrid host with version 2 beside it', async () => {
    await write(under('sys', VERSION_1));
    const mounts = [version2('sys/unified'), ...CONTROLLERS.map(version1)];
    const source = await host(mounts, [...PROCESS_1, `0::/docker/${ID}`]);
    expect(await readOnce(source)).toEqual(expected(CPU_1, 0));
  });

  it.each([
    ['systemd', `system.slice/docker-${ID}.scope`],
    ['cgroupfs', `docker/${ID}`],
    ['cgroupfs under a parent of its own', `tenants/${ID}`],
  ])('are read on version 2 with the driver %s', async (_, folder) => {
    await write(under(join('sys', folder), VERSION_2));
    const source = await host([version2('sys')], [`0::/${folder}`]);
    expect(await readOnce(source)).toEqual(expected(CPU_2, 8192));
  });

  it('are found below the part of the hierarchy that is mounted', async () => {
    await write(under(`sys/${ID}`, VERSION_2));
    const source = await host([version2('sys', '/docker')], [`0::/docker/${ID}`]);
    expect(await readOnce(source)).toEqual(expected(CPU_2, 8192));
  });

  it('read as zero disk use before the first I/O', async () => {
    await write(under(`sys/docker/${ID}`, { ...VERSION_2, 'io.stat': '' }));
    const reading = await readOnce(await host([version2('sys')], [`0::/docker/${ID}`]));
    expect(reading?.counters).toMatchObject({ diskReadBytes: 0, diskWriteBytes: 0 });
  });

  it('are left alone when the process is another one by now, or its path leads out of the mount', async () => {
    await write(under('sys/docker/other', VERSION_2));
    expect((await host([version2('sys')], ['0::/docker/other'])).open(CONTAINER)).toBeUndefined();
    expect((await host([version2('sys')], [`0::/../${ID}`])).open(CONTAINER)).toBeUndefined();
  });

  it('are left alone where there are none', async () => {
    expect(createCgroupSource({ procFolder: join(root, 'nowhere') }).open(CONTAINER)).toBeUndefined();
    const source = await host([version2('sys')], [`0::/docker/${ID}`]);
    expect(source.open(CONTAINER)).toBeUndefined();
    expect(source.open({ ...CONTAINER, pid: 43 })).toBeUndefined();
  });
});
