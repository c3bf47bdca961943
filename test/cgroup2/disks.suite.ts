import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createDockerConnection } from '../../adapters/docker/connection.ts';
import { createDockerStatsSource } from '../../adapters/docker/stats.ts';
import { countedSince } from '../../domain/metrics/counters.ts';
import { whatPrints } from '../support/container-exec.ts';
import { DOCKER_SOCKET } from '../support/docker.ts';
import { eventually } from '../support/eventually.ts';
import { type ReadContainer, readByKernel } from '../support/kernel-reader.ts';
import { startReplica } from '../support/metered.ts';
import { useTestDocker } from '../support/test-docker.ts';
import { tell } from '../support/told.ts';

const KIBIBYTE = 1024;
const BYTES = 8 * 1024 * KIBIBYTE;
/** Of a known file: 128 pieces of 64 KiB. */
const PIECES = 128;
const FILE = [`bs=${BYTES / PIECES}`, `count=${PIECES}`];
/** What the file system has to read and write of its own for one file: blocks of its lists, never a part of the file. */
const OF_FILE_SYSTEM = 256 * KIBIBYTE;
const SECTOR = 512;

/** What goes to a disk is known to the byte where caches are passed by: each write is one, and each read. */
describe('what `io.stat` counts of a known file', () => {
  const docker = useTestDocker();
  let reader: ReadContainer;

  beforeAll(async () => {
    const id = await startReplica(docker.corner, { replicaId: 'r1-0', command: ['sleep', '3600'] });
    reader = await readByKernel(docker.corner, id);
  });
  afterAll(() => reader.close());

  /** What the container's counters, and the whole disk's, show for a command that runs in the container. */
  async function countedFor(...command: string[]) {
    const [before, diskBefore] = [await reader.read(), wholeDisk()];
    await whatPrints(docker.corner.client, reader.container.id, ['dd', ...command]);
    const [after, disk] = [await reader.read(), wholeDisk()];
    const of = {
      readBytes: disk.readBytes - diskBefore.readBytes,
      writtenBytes: disk.writtenBytes - diskBefore.writtenBytes,
    };
    return { counted: countedSince(before, after), disk: of };
  }

  it.for([
    ['written past the cache', 'oflag=direct'],
    ['written through the cache', 'conv=fsync'],
  ] as const)('is each byte %s', async ([, flag], { task }) => {
    const { counted, disk } = await countedFor('if=/dev/zero', 'of=/data/file', ...FILE, flag);
    expect(counted.diskWriteBytes).toBeGreaterThanOrEqual(BYTES);
    expect(counted.diskWriteBytes).toBeLessThanOrEqual(BYTES + OF_FILE_SYSTEM);
    expect(disk.writtenBytes).toBeGreaterThanOrEqual(counted.diskWriteBytes);
    tell(task, counted.diskWriteBytes, BYTES, 'bytes');
  });

  it('is each write past the cache as an operation', async ({ task }) => {
    const { counted } = await countedFor('if=/dev/zero', 'of=/data/file', ...FILE, 'oflag=direct', 'conv=notrunc');
    expect(counted.diskWriteOperations).toBeGreaterThanOrEqual(PIECES);
    expect(counted.diskWriteOperations).toBeLessThan(PIECES * 1.25);
    tell(task, counted.diskWriteOperations, PIECES, 'writes');
  });

  it('is each byte and each operation read past the cache', async ({ task }) => {
    await countedFor('if=/dev/zero', 'of=/data/file', ...FILE, 'conv=fsync');
    const { counted, disk } = await countedFor('if=/data/file', 'of=/dev/null', ...FILE, 'iflag=direct');
    expect(counted.diskReadBytes).toBeGreaterThanOrEqual(BYTES);
    expect(counted.diskReadBytes).toBeLessThanOrEqual(BYTES + OF_FILE_SYSTEM);
    expect(counted.diskReadOperations).toBeGreaterThanOrEqual(PIECES);
    expect(counted.diskReadOperations).toBeLessThan(PIECES * 1.25);
    expect(disk.readBytes).toBeGreaterThanOrEqual(counted.diskReadBytes);
    tell(task, counted.diskReadBytes, BYTES, 'bytes');
  });

  it('is nothing where the cache has it', async ({ task }) => {
    await countedFor('if=/data/file', 'of=/dev/null', ...FILE);
    const { counted } = await countedFor('if=/data/file', 'of=/dev/null', ...FILE);
    expect(counted.diskReadBytes).toBeLessThan(OF_FILE_SYSTEM);
    tell(task, counted.diskReadBytes, 0, 'bytes');
  });

  it('is the same bytes as Docker tells', async ({ task }) => {
    const connection = createDockerConnection({ socketPath: DOCKER_SOCKET, requestTimeoutMs: 60_000 });
    const portable = createDockerStatsSource(connection, {
      ...{ gate: (call) => call(), maxWorkers: 50, deadlineMs: () => 60_000 },
    });
    const meter = portable.open(reader.container);
    await eventually(async () => {
      const told = await meter?.read(AbortSignal.timeout(60_000));
      const { diskReadBytes, diskWriteBytes } = (await reader.read()).counters;
      expect(told?.counters).toMatchObject({ diskReadBytes, diskWriteBytes });
      tell(task, diskWriteBytes, told?.counters.diskWriteBytes ?? 0, 'bytes written');
    });
    meter?.close();
  });
});

/** What all processes together have done with the guest's one disk (`/sys/block/vda/stat`, fields 3 and 7). */
function wholeDisk(): { readonly readBytes: number; readonly writtenBytes: number } {
  const fields = readFileSync('/sys/block/vda/stat', 'utf8').trim().split(/\s+/).map(Number);
  return { readBytes: (fields[2] ?? 0) * SECTOR, writtenBytes: (fields[6] ?? 0) * SECTOR };
}
