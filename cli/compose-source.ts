import { readFile } from 'node:fs/promises';
import { basename, dirname, join, relative } from 'node:path';
import { parseEnv } from 'node:util';
import { parseCompose } from '../adapters/compose/parse-compose.ts';
import type { ComposeApplication, ComposeSource } from '../domain/compose/application.ts';
import type { Api } from './client.ts';
import { refuse } from './failures.ts';
import type { Progress } from './progress.ts';
import { showBytes } from './quantities.ts';
import { uploadContext } from './upload-context.ts';
import type { WantedSource } from './wanted-spec.ts';

/** A Compose file as it is found, with what its variables may take. */
export interface ComposeWish {
  /** Absolute path of the file. */
  readonly file: string;
  /** Given for the file on the command line or in files named there. */
  readonly variables: ReadonlyMap<string, string>;
  /** The caller's own environment. */
  readonly env: Readonly<Record<string, string | undefined>>;
}

/** A Compose file that was read. */
export interface ComposeFile {
  readonly folder: string;
  readonly text: string;
  /** Those that the file speaks of, and no others: the rest of the caller's environment goes nowhere. */
  readonly variables: Readonly<Record<string, string>>;
  readonly application: ComposeApplication;
}

/** Names after a dollar; more than the file may really use, never fewer. */
const NAMED = /\$\{?([A-Za-z_][A-Za-z0-9_]*)/g;

/**
 * Reads a Compose file and the `.env` beside it. Values are looked for on the command line, then in the caller's own
 * environment, then in `.env`, as Compose does it.
 *
 * @throws INVALID_ARGUMENT with a path into the file.
 */
export async function readComposeFile({ file, variables, env }: ComposeWish): Promise<ComposeFile> {
  const folder = dirname(file);
  const text = await readText(file);
  const beside = parseEnv((await readFile(join(folder, '.env'), 'utf8').catch(ignoreMissing)) ?? '');
  const valuesOf = (names: Iterable<string>): Record<string, string> =>
    Object.fromEntries(
      [...new Set(names)].flatMap((name) => {
        const value = variables.get(name) ?? env[name] ?? beside[name];
        return value === undefined ? [] : [[name, value]];
      }),
    );
  const inText = valuesOf([...text.matchAll(NAMED)].flatMap(([, name]) => name ?? []));
  const registries = { allowedRegistries: 'all' } as const;
  const open = parseCompose(text, { variables: inText, registries });
  const all = { ...valuesOf(openNames(open)), ...inText };
  return { folder, text, variables: all, application: parseCompose(text, { variables: all, registries }) };
}

function openNames({ services }: ComposeApplication): string[] {
  return services.flatMap(({ environment, source }) => {
    const args = source.kind === 'build' ? source.args : [];
    return [...environment, ...args].flatMap(({ name, value }) => (value === undefined ? [name] : []));
  });
}

async function readText(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    throw refuse('--compose', `can't read ${file} (${(error as NodeJS.ErrnoException).code ?? 'unknown error'})`);
  }
}

function ignoreMissing(error: NodeJS.ErrnoException): undefined {
  if (error.code === 'ENOENT') return undefined;
  throw error;
}

/** Uploads the folders that services are built from, each once, and answers with what to ask for. */
export async function uploadComposeSource(
  api: Api,
  { folder, text, variables, application }: ComposeFile,
  of: { organizationId: string; progress: Progress; signal: AbortSignal },
): Promise<WantedSource> {
  const { organizationId, progress, signal } = of;
  const contexts: Record<string, string> = {};
  for (const { context, dockerfile } of buildsOf(application)) {
    if (Object.hasOwn(contexts, context)) continue;
    const source = join(folder, context);
    progress.doing(`uploading ${relative(folder, source) || basename(folder)}`);
    const { sha256, bytes, files } = await uploadContext(api, { folder: source, dockerfile, organizationId, signal });
    progress.done(`uploaded ${files} files of ${context || 'the folder'}, ${showBytes(bytes)}`);
    contexts[context] = sha256;
  }
  return { kind: 'compose', file: text, variables, contexts };
}

function buildsOf({ services }: ComposeApplication): Extract<ComposeSource, { kind: 'build' }>[] {
  return services.flatMap(({ source }) => (source.kind === 'build' ? [source] : []));
}
