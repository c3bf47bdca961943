import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import type { DevConfig } from '../../config/dev.ts';
import { DomainError } from '../../domain/errors.ts';
import { ensureKeys, type KeyFiles } from './keys.ts';

const toolchainShape = z.object({
  node: z.string(),
  docker: z.union([z.object({ socket: z.string() }), z.object({ host: z.string(), port: z.number() })]),
  temporal: z.object({ path: z.string() }),
  traefik: z.object({ path: z.string() }),
  postgres: z.discriminatedUnion('kind', [
    z.object({ kind: z.literal('embedded'), binDir: z.string() }),
    z.object({ kind: z.literal('external') }),
  ]),
});

/** What the set-up found or built on this machine. */
export type Toolchain = z.infer<typeof toolchainShape>;

/** One platform on this machine: its folder, its name, its programs, its secrets, and what it was told. */
export interface Installation {
  readonly stateDir: string;
  /** 8 characters of a-z and 0-9, in names and labels of everything made on Docker. */
  readonly instance: string;
  readonly toolchain: Toolchain;
  readonly keys: KeyFiles;
  readonly config: DevConfig;
  /** The variables of the caller; each role is given those that it knows. */
  readonly environment: Readonly<Record<string, string | undefined>>;
}

/** Folders of the state, beside those that the processes make themselves. */
const FOLDERS = ['run', 'logs', 'temporal', 'traefik', 'contexts', 'node', 'postgres'];

/** Opens the state folder: reads what the set-up wrote and makes what is missing of folders and secrets. */
export function openInstallation(
  options: Pick<Installation, 'stateDir' | 'config' | 'environment'> & { readonly instance?: string | undefined },
): Installation {
  const { stateDir, config, environment } = options;
  const toolchain = parseToolchain(readSetUp(stateDir, 'toolchain.json'));
  const instance = options.instance ?? readSetUp(stateDir, 'instance').trim();
  if (!/^[a-z0-9]{8}$/.test(instance)) {
    throw new DomainError('CONFIGURATION', `the instance id in ${stateDir} is not made of 8 of a-z and 0-9`);
  }
  for (const folder of FOLDERS) mkdirSync(join(stateDir, folder), { recursive: true, mode: 0o700 });
  return { stateDir, instance, toolchain, keys: ensureKeys(stateDir), config, environment };
}

function readSetUp(stateDir: string, name: string): string {
  try {
    return readFileSync(join(stateDir, name), 'utf8');
  } catch (cause) {
    throw new DomainError('CONFIGURATION', `cannot read ${name} in ${stateDir}`, {
      hint: 'Run `npm start`, which sets this machine up first.',
      cause,
    });
  }
}

function parseToolchain(text: string): Toolchain {
  const parsed = toolchainShape.safeParse(JSON.parse(text));
  if (parsed.success) return parsed.data;
  const parts = parsed.error.issues.map((issue) => issue.path.join('.')).join(', ');
  throw new DomainError('CONFIGURATION', `toolchain.json lacks ${parts}`, {
    hint: 'Run `npm start`, which sets this machine up first.',
  });
}
