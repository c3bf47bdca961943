import { createHash, randomUUID } from 'node:crypto';
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { dirname, isAbsolute, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type BundleOptions, bundleWorkflowCode, DefaultLogger, type WorkflowBundle } from '@temporalio/worker';
import type { Log } from '../logging/log.ts';
import { FAILURE_CONVERTER_PATH } from './data-converter.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

/** Beside the packages that are bundled, and with their rights: whoever may write here may write those. */
const CACHE_FILE = join(ROOT, 'node_modules/.cache/obiente/workflows.json');

/** A bundle, and of what it was made. */
interface CachedBundle {
  /** Hash of what is no file of it: the versions of Node and of all packages. */
  readonly versions: string;
  /** Hashes of all files that went into it, by their path from the root. */
  readonly sources: Readonly<Record<string, string>>;
  readonly code: string;
}

/**
 * Bundles the workflows with everything that they import; the sandbox runs nothing else.
 *
 * It takes over two seconds, while which nobody carries operations on. So the last bundle is kept in a file, and is taken
 * as long as every file that went into it is what it was.
 */
export async function bundleWorkflows(log: Log, cacheFile = CACHE_FILE): Promise<WorkflowBundle> {
  const versions = await hashVersions();
  const cached = await readCached(cacheFile, versions);
  if (cached) return cached;
  const made = await makeBundle(log);
  await keep(cacheFile, { versions, ...made }).catch((error: unknown) => {
    log.debug({ err: error, stage: 'bundle' }, 'the bundle of the workflows is not kept');
  });
  return { code: made.code };
}

async function makeBundle(log: Log): Promise<Omit<CachedBundle, 'versions'>> {
  let paths: string[] = [];
  const { code } = await bundleWorkflowCode({
    workflowsPath: join(ROOT, 'workflows/registry.ts'),
    failureConverterPath: FAILURE_CONVERTER_PATH,
    logger: new DefaultLogger('WARN', ({ message }) => log.warn({ stage: 'bundle' }, message)),
    webpackConfigHook: (config) => {
      const plugins = config.plugins ?? [];
      return { ...config, plugins: [...plugins, tellSources((found) => (paths = found))] };
    },
  });
  return { code, sources: await hashFiles(paths) };
}

type BundlerConfig = Parameters<NonNullable<BundleOptions['webpackConfigHook']>>[0];

function tellSources(tell: (paths: string[]) => void): NonNullable<BundlerConfig['plugins']>[number] {
  return (compiler) => {
    compiler.hooks.done.tap('sources', ({ compilation }) => tell([...compilation.fileDependencies]));
  };
}

/** What is no file is left out: folders that were looked through, and the entry point that exists in memory only. */
async function hashFiles(paths: readonly string[]): Promise<Record<string, string>> {
  const hashed = await Promise.all(
    paths.map(async (path) => {
      const content = await readFile(path).catch(() => null);
      return content === null ? [] : [[relative(ROOT, path), hash(content)] as const];
    }),
  );
  return Object.fromEntries(hashed.flat());
}

async function readCached(file: string, versions: string): Promise<WorkflowBundle | undefined> {
  const text = await readFile(file, 'utf8').catch(() => null);
  if (text === null) return undefined;
  try {
    const cached = JSON.parse(text) as CachedBundle;
    const paths = Object.keys(cached.sources);
    if (cached.versions !== versions || paths.some((path) => isAbsolute(path))) return undefined;
    const present = await hashFiles(paths.map((path) => join(ROOT, path)));
    const isSame = paths.every((path) => present[path] === cached.sources[path]);
    return isSame && paths.length > 0 ? { code: cached.code } : undefined;
  } catch {
    // It was cut short, or is of another version: it is made anew.
    return undefined;
  }
}

/** In one step, since others may be reading it, or making it just now. */
async function keep(file: string, bundle: CachedBundle): Promise<void> {
  await mkdir(dirname(file), { recursive: true });
  const draft = `${file}.${randomUUID()}`;
  try {
    await writeFile(draft, JSON.stringify(bundle));
    await rename(draft, file);
  } catch (error) {
    await rm(draft, { force: true });
    throw error;
  }
}

async function hashVersions(): Promise<string> {
  const lock = await readFile(join(ROOT, 'package-lock.json')).catch(() => '');
  return hash(`${process.version}\n${lock}`);
}

function hash(content: string | Uint8Array): string {
  return createHash('sha256').update(content).digest('hex');
}
