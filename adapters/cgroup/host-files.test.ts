import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { cpus, tmpdir, totalmem } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { eventually } from '../../test/support/eventually.ts';
import { createHostSource } from './host-files.ts';

const FILES = {
  'sys/kernel/random/boot_id': '0d6d3c1e-1111-4222-8333-444444444444\n',
  stat: 'cpu  100 20 30 4000 500 6 7 8 9 10\ncpu0 100 20 30 4000 500 6 7 8 9 10\nintr 1\n',
  meminfo: 'MemTotal:       1000 kB\nMemFree:         100 kB\nMemAvailable:    400 kB\n',
  loadavg: '1.25 0.80 0.50 1/200 4242\n',
  'pressure/cpu': 'some avg10=0.00 avg60=0.00 avg300=0.00 total=77\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=5\n',
  'pressure/io': 'some avg10=0.00 avg60=0.00 avg300=0.00 total=88\n',
};

describe('the files of a host', () => {
  let root: string;

  beforeEach(async () => {
    root = await mkdtemp(join(tmpdir(), 'obiente-host-'));
    for (const [name, content] of Object.entries(FILES)) {
      await mkdir(dirname(join(root, name)), { recursive: true });
      await writeFile(join(root, name), content);
    }
  });
  afterEach(async () => await rm(root, { recursive: true }));

  it('tell CPU without guests counted twice, memory, load, and the pressure that this kernel counts', async () => {
    const clock = { now: () => 1_000, monotonic: () => 5 };
    const source = createHostSource({ procFolder: root, clock, dockerFolder: () => new Promise(() => undefined) });
    expect(source.read()).toEqual({
      incarnation: '0d6d3c1e-1111-4222-8333-444444444444',
      atMs: 1_000,
      counters: {
        cpuBusyNanos: 1_710_000_000,
        cpuTotalNanos: 46_710_000_000,
        pressureCpuMicros: 77,
        pressureMemoryMicros: null,
        pressureIoMicros: 88,
      },
      memoryUsedBytes: 600 * 1024,
      memoryTotalBytes: 1_000 * 1024,
      diskUsedBytes: 0,
      diskTotalBytes: 0,
      load1Hundredths: 125,
    });
    source.close();
  });

  it('ask for the folder again until it is known, and read on meanwhile', async () => {
    let asked = 0;
    const dockerFolder = async (): Promise<string> => {
      asked += 1;
      if (asked < 3) throw new Error('docker is away');
      return root;
    };
    const source = createHostSource({ procFolder: root, dockerFolder });
    await eventually(() => expect(source.read().diskTotalBytes).toBeGreaterThan(0), { everyMs: 1 });
    expect(asked).toBeGreaterThanOrEqual(3);
    source.close();
  });

  it('are those of this host', async () => {
    const source = createHostSource({ dockerFolder: async () => root });
    const first = source.read();
    await eventually(() => expect(source.read().counters.cpuTotalNanos).toBeGreaterThan(first.counters.cpuTotalNanos));
    const { memoryTotalBytes, memoryUsedBytes, counters } = source.read();
    source.close();
    expect(Math.abs(memoryTotalBytes / totalmem() - 1)).toBeLessThan(0.01);
    expect(memoryUsedBytes).toBeLessThan(memoryTotalBytes);
    expect(counters.cpuBusyNanos / cpus().length).toBeLessThan(counters.cpuTotalNanos);
  });
});
