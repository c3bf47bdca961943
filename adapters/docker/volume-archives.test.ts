import { randomUUID } from 'node:crypto';
import { mkdtemp, readdir, rm, stat, truncate } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { volumeLabels, volumeName } from '../../domain/naming.ts';
import { useTestDocker } from '../../test/support/test-docker.ts';
import { createSnapshotFiles } from '../files/snapshot-files.ts';

vi.setConfig({ testTimeout: 120_000, hookTimeout: 60_000 });

const docker = useTestDocker();
let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'obiente-snapshots-'));
});
afterAll(() => rm(folder, { recursive: true }));

async function aVolume(): Promise<string> {
  const { instance, docker: adapter } = docker.corner;
  const volumeId = randomUUID();
  const name = volumeName(instance, { volumeId });
  await adapter.ensureVolume({ name, labels: volumeLabels({ instance, projectId: randomUUID(), volumeId }) });
  return name;
}

/** Runs a script as root with the volume at /v, and answers with what it printed. */
async function run(volume: string, script: string): Promise<string> {
  const container = await docker.corner.client.createContainer({
    Image: docker.corner.image,
    Cmd: ['/bin/sh', '-c', script],
    Tty: true,
    HostConfig: { Binds: [`${volume}:/v`], CapAdd: ['MKNOD'] },
  });
  await container.start();
  await container.wait();
  const printed = (await container.logs({ stdout: true, stderr: true })).toString();
  await container.remove({ force: true, v: true });
  return printed;
}

/** Everything that is in a volume, with mode, owner, size, times and content, as text. */
const TREE = [
  'cd /v',
  'find . | sort | while IFS= read -r f; do stat -c \'%A %u:%g %s %t,%T %Y %h %N\' "$f"; done',
  'find . -type f | sort | while IFS= read -r f; do md5sum "$f"; done',
].join('; ');

const HOSTILE = [
  'cd /v',
  'mkdir -p deep/er empty "with space" && chmod 1777 deep && chmod 700 deep/er && chown 1234:4321 empty',
  'echo secret > deep/er/file && chmod 4755 deep/er/file && chown 99:99 deep/er/file',
  'ln -s /etc/passwd out && ln -s ../../../.. up && ln -s nowhere dangling && ln deep/er/file hard',
  'mknod null c 1 3 && mknod disk b 7 0 && mkfifo pipe',
  "touch -- \"$(printf 'a\\nb')\" \"$(printf 'tab\\tx')\" -rf '*' \"$(printf '\\033[2J')\" .hidden",
  'dd if=/dev/zero of=sparse bs=1 count=1 seek=8388607 2>/dev/null',
  'touch -d "2001-02-03 04:05:06" deep/er/file empty && chmod 751 /v && chown 7:8 /v && echo done',
].join(' && ');

describe('a snapshot', () => {
  it('brings the same tree back, whatever is in the volume', async () => {
    const { docker: adapter, client, instance } = docker.corner;
    const files = createSnapshotFiles(folder);
    const [from, to] = [await aVolume(), await aVolume()];
    expect(await run(from, HOSTILE)).toContain('done');
    const before = await run(from, TREE);
    const id = randomUUID();
    const counts: number[] = [];
    const written = await adapter.readVolume({ volume: from, reader: id }, (archive) =>
      files.write(id, archive, (bytes) => counts.push(bytes)),
    );
    expect(counts.at(-1)).toBe(written.sizeBytes);
    expect((await stat(join(folder, `${id}.tar`))).mode & 0o777).toBe(0o600);
    await run(to, 'echo old > /v/old');
    const labels = volumeLabels({ instance, projectId: randomUUID(), volumeId: randomUUID() });
    await client.createContainer({
      name: `${to}-fill`,
      Image: docker.corner.image,
      HostConfig: { Binds: [`${to}:/v`] },
    });
    await adapter.fillVolume({ name: to, labels }, await files.openChecked(id, written));
    const after = await run(to, TREE);
    expect(after).toBe(before);
    expect(before.split('\n').length).toBeGreaterThan(20);
    expect(await run(from, TREE)).toBe(before);
    const left = (await client.listContainers({ all: true })).flatMap(({ Names }) => Names);
    expect(left.filter((name) => name.includes(instance))).toEqual([]);
    const images = (await client.listImages()).flatMap(({ RepoTags }) => RepoTags ?? []);
    expect(images.filter((tag) => tag.startsWith(`obiente-${instance}`))).toEqual([]);
  });

  it('is refused when its file is not what was written, before anything is touched', async () => {
    const files = createSnapshotFiles(folder);
    const volume = await aVolume();
    await run(volume, 'echo data > /v/file');
    const id = randomUUID();
    const written = await docker.corner.docker.readVolume({ volume, reader: id }, (archive) =>
      files.write(id, archive, () => undefined),
    );
    const other = { ...written, sha256: 'a'.repeat(64) };
    await expect(files.openChecked(id, other)).rejects.toMatchObject({ code: 'SNAPSHOT_DAMAGED' });
    await truncate(join(folder, `${id}.tar`), written.sizeBytes - 1);
    await expect(files.openChecked(id, written)).rejects.toMatchObject({ code: 'SNAPSHOT_DAMAGED' });
    await files.remove(id);
    await files.remove(id);
    await expect(files.openChecked(id, written)).rejects.toThrow('its file is not there');
  });

  it('is not taken of a volume that is not there, which is not made either', async () => {
    const { instance, client, docker: adapter } = docker.corner;
    const volume = volumeName(instance, { volumeId: randomUUID() });
    const reading = adapter.readVolume({ volume, reader: randomUUID() }, async () => undefined);
    await expect(reading).rejects.toMatchObject({ code: 'NOT_FOUND' });
    expect((await client.listVolumes()).Volumes.map(({ Name }) => Name)).not.toContain(volume);
  });

  it('leaves no part of a file when the volume cannot be read to its end', async () => {
    const files = createSnapshotFiles(folder);
    const volume = await aVolume();
    await run(volume, 'dd if=/dev/zero of=/v/file bs=1M count=8');
    const id = randomUUID();
    const cut = docker.corner.docker.readVolume({ volume, reader: id }, (archive) =>
      files.write(id, archive, (bytes) => {
        if (bytes > 1024 * 1024) archive.destroy(new Error('cut'));
      }),
    );
    await expect(cut).rejects.toThrow('cut');
    expect((await readdir(folder)).filter((name) => name.startsWith(id))).toEqual([]);
  });
});
