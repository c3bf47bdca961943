import type { Log } from '../../adapters/logging/log.ts';
import { findNixpacks } from '../../adapters/nixpacks/find-nixpacks.ts';
import { type Nixpacks, openNixpacks } from '../../adapters/nixpacks/open-nixpacks.ts';
import type { NodeConfig } from '../../config/node.ts';

/** Opens this node's nixpacks; `null` without one that it can run. A node does all else without. */
export async function openNodeNixpacks(
  { NIXPACKS_PATH: path }: Pick<NodeConfig, 'NIXPACKS_PATH'>,
  environment: Readonly<Record<string, string | undefined>>,
  log: Log,
): Promise<Nixpacks | null> {
  const found = await findNixpacks({ path, searchPath: environment.PATH ?? '' });
  if (found === null) return null;
  if (typeof found === 'string') {
    log.warn({ reason: found }, 'this node builds nothing by nixpacks');
    return null;
  }
  const { program, version, confinement } = found;
  log.info({ program, version, confinement: confinement.words }, 'this node builds by nixpacks');
  return await openNixpacks(found);
}
