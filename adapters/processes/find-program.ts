import { access, constants } from 'node:fs/promises';
import { delimiter, join } from 'node:path';

/** Looks a program up, as a shell would, but in absolute folders only; `undefined` without one. */
export async function findProgram(name: string, searchPath: string): Promise<string | undefined> {
  for (const folder of searchPath.split(delimiter).filter((one) => one.startsWith('/'))) {
    try {
      await access(join(folder, name), constants.X_OK);
      return join(folder, name);
    } catch {
      // Absent and forbidden come to the same: the next folder may have it.
    }
  }
  return undefined;
}
