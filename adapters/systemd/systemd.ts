import { execFile } from 'node:child_process';
import { access, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { DomainError } from '../../domain/errors.ts';

/** Where an administrator's own units are. */
const UNIT_DIR = '/etc/systemd/system';

/** There where systemd is what started this host (sd_booted(3)). */
const BOOTED_BY_SYSTEMD = '/run/systemd/system';

/** A service may take its time to start; systemctl waits for it. */
const TIMEOUT_MS = 60_000;

/** A service of this host. */
export interface SystemdUnit {
  /** Name of its file, such as `obiente-node.service`. */
  readonly name: string;
  readonly text: string;
}

/** Whether services of this host are systemd's. */
export async function isSystemd(): Promise<boolean> {
  return await access(BOOTED_BY_SYSTEMD).then(
    () => true,
    () => false,
  );
}

/** Where a unit is written. */
export function unitPath({ name }: Pick<SystemdUnit, 'name'>, dir: string = UNIT_DIR): string {
  return join(dir, name);
}

/**
 * Installs units, starts them now and at each boot; those that run already are started anew with what is new.
 *
 * @throws CONFIGURATION with what systemd says.
 */
export async function installUnits(units: readonly SystemdUnit[], dir: string = UNIT_DIR): Promise<void> {
  const names = units.map(({ name }) => name);
  try {
    for (const unit of units) await writeFile(unitPath(unit, dir), unit.text, { mode: 0o644 });
    await systemctl('daemon-reload');
    await systemctl('enable', ...names);
    await systemctl('restart', ...names);
  } catch (error) {
    const said = (error as { stderr?: unknown }).stderr || (error instanceof Error ? error.message : error);
    throw new DomainError('CONFIGURATION', `cannot install ${names.join(' and ')}: ${String(said).trim()}`, {
      cause: error,
      hint: 'Run this as root; with --no-service nothing is installed.',
    });
  }
}

async function systemctl(...args: readonly string[]): Promise<void> {
  await promisify(execFile)('systemctl', args, { timeout: TIMEOUT_MS });
}
