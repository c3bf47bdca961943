import { execFile } from 'node:child_process';
import { mkdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { createContext } from '../../scripts/machine/context.mjs';
import { ensureDockerTree } from '../../scripts/machine/docker-tree.mjs';
import type { HostNetwork } from './network.ts';

const run = promisify(execFile);

/** What a daemon in a tree has in common with the machine; the folder of each daemon is below the last. */
const SHARED = ['/proc', '/sys', '/dev', tmpdir()];

/**
 * Makes a Docker Engine of another version than the machine's own ready to be started on a host.
 *
 * @param version `20.10`, `26` or `28`
 * @returns what its command begins with, within the host
 */
export async function dockerdOfVersion({ enter }: HostNetwork, version: string): Promise<string[]> {
  const tree = await ensureDockerTree(createContext(), version);
  const [program = '', ...inHost] = enter;
  // Seen by the host alone: it has mounts of its own, which end with it.
  const mount = (from: string, at: string) => run(program, [...inHost, 'mount', '--rbind', from, at]);
  // Images are unpacked below another root, which only what is mounted can be left for.
  await mount(tree, tree);
  for (const path of SHARED) {
    await mkdir(join(tree, path), { recursive: true });
    await mount(path, join(tree, path));
  }
  return ['chroot', tree, 'dockerd'];
}
