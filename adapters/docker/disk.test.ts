import { statfs } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { useTestDocker } from '../../test/support/test-docker.ts';

const test = useTestDocker();

describe('the disk of a daemon', () => {
  it('is measured where the daemon keeps its files, as the file system tells it', async () => {
    const { docker, client } = test.corner;
    const { DockerRootDir: folder } = (await client.info()) as { DockerRootDir: string };
    const { freeBytes, totalBytes } = await docker.measureDisk();
    const { bavail, bsize, blocks, bfree } = await statfs(folder).catch(() => statfs('/'));
    const size = (blocks - bfree + bavail) * bsize;
    // Others write to it between the two looks.
    expect(Math.abs(freeBytes - bavail * bsize)).toBeLessThan(size / 10);
    expect(totalBytes).toBeGreaterThan(freeBytes);
    expect(totalBytes).toBeLessThanOrEqual(blocks * bsize);
    expect(await docker.freeBytes()).toBeGreaterThan(0);
  });
});
