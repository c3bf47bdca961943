import { randomUUID } from 'node:crypto';
import { mkdir, open, readFile, rename, stat } from 'node:fs/promises';
import { homedir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { z } from 'zod';
import { DomainError } from '../domain/errors.ts';

const credentialsSchema = z.object({
  apiUrl: z.url(),
  issuer: z.url().optional(),
  clientId: z.string().optional(),
  accessToken: z.string().optional(),
  refreshToken: z.string().optional(),
  /** RFC 3339, or milliseconds since 1970. */
  expiresAt: z.union([z.string(), z.number()]).optional(),
});

/** What `cli.json` holds: which platform, and who its user is there. */
export type Credentials = z.infer<typeof credentialsSchema>;

/** What the search for `cli.json` depends on. */
export interface Surroundings {
  readonly env: Record<string, string | undefined>;
  readonly cwd: string;
  /** The checkout that this command belongs to. */
  readonly checkout: string;
}

/** Where `login` writes when no file exists yet. */
export function userCredentialsFile({ env }: Pick<Surroundings, 'env'>): string {
  const config = env.XDG_CONFIG_HOME || join(env.HOME || homedir(), '.config');
  return join(config, 'obiente', 'cli.json');
}

/** Where `cli.json` is looked for, nearest first: the state folder, upward from here, the checkout, the user's own. */
export function credentialsPlaces(surroundings: Surroundings): readonly string[] {
  const { env, cwd, checkout } = surroundings;
  if (env.OBIENTE_STATE_DIR) return [join(resolve(cwd, env.OBIENTE_STATE_DIR), 'cli.json')];
  const upward: string[] = [];
  for (let folder = resolve(cwd); ; folder = dirname(folder)) {
    upward.push(join(folder, '.obiente', 'cli.json'));
    if (folder === dirname(folder)) break;
  }
  return [...new Set([...upward, join(checkout, '.obiente', 'cli.json'), userCredentialsFile(surroundings)])];
}

/** The first `cli.json` that exists. @throws as {@link readCredentials}. */
export async function findCredentials(
  surroundings: Surroundings,
): Promise<{ file: string; credentials: Credentials } | undefined> {
  for (const file of credentialsPlaces(surroundings)) {
    const credentials = await readCredentials(file);
    if (credentials !== undefined) return { file, credentials };
  }
  return undefined;
}

/**
 * Reads a `cli.json`; `undefined` when there is none.
 *
 * @throws CONFIGURATION when others may read it, or it belongs to somebody else: a file that came with somebody's
 * repository must not decide where tokens are sent.
 */
export async function readCredentials(file: string): Promise<Credentials | undefined> {
  let text: string;
  try {
    await requirePrivate(file);
    text = await readFile(file, 'utf8');
  } catch (error) {
    if (isAbsent(error)) return undefined;
    throw error;
  }
  const parsed = credentialsSchema.safeParse(parseJson(text));
  if (parsed.success) return parsed.data;
  throw new DomainError('CONFIGURATION', `${file} does not hold what obiente wrote there`, {
    hint: 'Run "obiente login" to write it anew, or remove it.',
  });
}

/** Replaces a `cli.json` as a whole, so that a reader finds the old one or the new one. */
export async function writeCredentials(file: string, credentials: Credentials): Promise<void> {
  await mkdir(dirname(file), { recursive: true, mode: 0o700 });
  const fresh = `${file}.${randomUUID()}`;
  const handle = await open(fresh, 'wx', 0o600);
  try {
    await handle.writeFile(`${JSON.stringify(credentials, null, 2)}\n`);
    await handle.sync();
  } finally {
    await handle.close();
  }
  await rename(fresh, file);
}

async function requirePrivate(file: string): Promise<void> {
  const { mode, uid } = await stat(file);
  if (process.platform === 'win32') return;
  const isMine = uid === process.getuid?.();
  if (isMine && (mode & 0o077) === 0) return;
  const finding = isMine ? `can be read by others (mode ${(mode & 0o777).toString(8)})` : 'belongs to another user';
  throw new DomainError('CONFIGURATION', `${file} ${finding}, so it is not used`, {
    hint: isMine ? `Run "chmod 600 ${file}" if you wrote it, else remove it.` : 'Sign in with "obiente login".',
  });
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

function isAbsent(error: unknown): boolean {
  const code = (error as NodeJS.ErrnoException).code;
  return code === 'ENOENT' || code === 'ENOTDIR' || code === 'EACCES';
}
