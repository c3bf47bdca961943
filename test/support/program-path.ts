import { readFile } from 'node:fs/promises';
import { join } from 'node:path';

/** Where the set-up found or built a program. @throws when it could not, with what says why */
export async function programPath(component: 'temporal' | 'traefik' | 'registry' | 'versitygw'): Promise<string> {
  const stateDir = process.env.OBIENTE_STATE_DIR ?? join(import.meta.dirname, '../../.obiente');
  const toolchain = JSON.parse(await readFile(join(stateDir, 'toolchain.json'), 'utf8')) as {
    [name in typeof component]?: { path?: string };
  };
  const path = toolchain[component]?.path;
  if (path !== undefined) return path;
  throw new Error(`there is no ${component}: run "npm run setup ${component}", which says why`);
}
