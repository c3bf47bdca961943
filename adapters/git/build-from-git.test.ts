import { createHash, randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { builtImageTag, ownedLabels } from '../../domain/naming.ts';
import { detectBuild } from '../../domain/source-detection.ts';
import { openTestDocker, type TestDocker } from '../../test/support/docker.ts';
import { aFetch, type GitRig, startGitRig } from '../../test/support/git-rig.ts';
import { packTree } from '../sources/pack-tree.ts';
import { readSourceTree } from '../sources/source-tree.ts';

let rig: GitRig;
let test: TestDocker;

beforeAll(async () => {
  [rig, test] = await Promise.all([startGitRig(), openTestDocker()]);
});

afterAll(async () => {
  await Promise.all([rig.stop(), test.remove()]);
});

async function hashOf(folder: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of packTree({ folder, subdirectory: 'app' })) hash.update(chunk as Buffer);
  return hash.digest('hex');
}

describe('a commit', () => {
  it('becomes an image, and the same one each time that it is fetched', async () => {
    const repository = rig.repository('image.git');
    const commit = repository.commit({
      'app/.dockerignore': 'secret\n',
      'app/Dockerfile': 'FROM scratch\nCOPY . /app/\n',
      'app/run': { mode: '100755', content: 'run' },
      'app/link': { mode: '120000', content: 'run' },
      'app/secret': 'not for the image',
      other: 'x',
    });
    const url = rig.server.url('image.git');
    const images: string[] = [];
    const hashes: string[] = [];
    for (const name of ['one', 'two']) {
      const into = join(rig.folder, name);
      await rig.sources.fetchCommit({ ...aFetch(), url, commit, subdirectory: 'app', into });
      const tree = await readSourceTree(into, 'app');
      expect(detectBuild(tree)).toMatchObject({ reason: 'a Dockerfile at its root' });
      hashes.push(await hashOf(into));
      const deploymentId = randomUUID();
      const { imageId } = await test.docker.buildImage({
        context: packTree({ folder: into, subdirectory: 'app' }),
        dockerfilePath: 'Dockerfile',
        args: {},
        tag: builtImageTag(test.instance, { deploymentId, revision: 1, service: 'app' }),
        labels: ownedLabels({ instance: test.instance, projectId: 'p', deploymentId: 'd' }),
        limits: { cpuCores: 1, memoryBytes: 512 * 1024 * 1024 },
        signal: new AbortController().signal,
        onLine: () => {},
      });
      images.push(imageId);
    }
    expect(hashes[1]).toBe(hashes[0]);
    expect(images[1]).toBe(images[0]);
  });
});
