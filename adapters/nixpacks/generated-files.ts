import { constants } from 'node:fs';
import { lstat, open, readdir } from 'node:fs/promises';
import { join, posix } from 'node:path';
import { DomainError } from '../../domain/errors.ts';
import { NIXPACKS_DOCKERFILE, NIXPACKS_FOLDER } from '../../domain/nixpacks.ts';
import type { ExtraFile } from '../sources/pack-context.ts';

/** What one plan may be written as. Files of the source that are served by nixpacks itself may be among them. */
const MAX_FILES = 200;
const MAX_BYTES = 4 * 1024 ** 2;

/** What it writes for whoever would run the build in its place; it holds values of variables. */
const COMMAND = `${NIXPACKS_FOLDER}/build.sh`;

/**
 * Reads what nixpacks has written below a folder, by path from there. Links are neither followed nor read, since nobody
 * trusts who made them.
 *
 * @throws SOURCE_REFUSED for links and the like, and for too much; BUILD_FAILED when there is no Dockerfile.
 */
export async function readGenerated(folder: string): Promise<readonly ExtraFile[]> {
  const files: ExtraFile[] = [];
  let bytes = 0;
  const walk = async (parent: string): Promise<void> => {
    for (const name of (await readdir(join(folder, parent))).sort()) {
      const path = posix.join(parent, name);
      const found = await lstat(join(folder, path));
      if (found.isDirectory()) await walk(path);
      else if (!found.isFile()) throw refused(`writes ${JSON.stringify(path)}, which is no file`);
      else if (path !== COMMAND) {
        bytes += found.size;
        if (bytes > MAX_BYTES) throw refused(`writes more than ${MAX_BYTES / 1024 ** 2} MiB`);
        if (files.length >= MAX_FILES) throw refused(`writes more than ${MAX_FILES} files`);
        files.push({ path, content: await readFile(join(folder, path), found.size) });
      }
    }
  };
  if ((await lstat(join(folder, NIXPACKS_FOLDER))).isDirectory()) await walk(NIXPACKS_FOLDER);
  if (files.some(({ path }) => path === NIXPACKS_DOCKERFILE)) return files;
  throw new DomainError('BUILD_FAILED', 'the image does not build: nixpacks wrote no Dockerfile', {
    hint: 'Add a Dockerfile; or let whoever runs the platform look at its version of nixpacks.',
  });
}

async function readFile(path: string, size: number): Promise<Buffer> {
  const handle = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW);
  try {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(size), 0, size, 0);
    return buffer.subarray(0, bytesRead);
  } finally {
    await handle.close();
  }
}

function refused(finding: string): DomainError {
  return new DomainError('SOURCE_REFUSED', `the source cannot be built: nixpacks ${finding} for it`, {
    hint: 'Mend nixpacks.toml, or add a Dockerfile.',
  });
}
