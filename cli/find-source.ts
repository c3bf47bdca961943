import { basename, dirname, join, resolve } from 'node:path';
import { readSourceTree } from '../adapters/sources/source-tree.ts';
import { detectBuild } from '../domain/source-detection.ts';
import { type ComposeFile, readComposeFile } from './compose-source.ts';
import type { DeployOptions, GitWish, Wishes } from './deploy-options.ts';
import { refuse } from './failures.ts';

/** What is deployed, the name that follows from it, and in words why it was taken; empty where it was asked for. */
export type FoundSource = { readonly name: string; readonly reason: string } & (
  | { readonly kind: 'image'; readonly reference: string }
  | { readonly kind: 'compose'; readonly file: ComposeFile }
  | { readonly kind: 'folder'; readonly folder: string }
  | { readonly kind: 'git'; readonly git: GitWish }
  /** A page that is ready to be served. */
  | { readonly kind: 'page'; readonly folder: string }
  /** An application that nixpacks builds. */
  | { readonly kind: 'application'; readonly folder: string }
);

/** Where to look, and what the caller said. */
interface Looking {
  readonly folder: string;
  readonly cwd: string;
  readonly wishes: Wishes;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly options: DeployOptions;
}

/** Settings of one service, for which a Compose file has words of its own, by the option that types them. */
const FOR_ONE_SERVICE = {
  replicas: '--replicas',
  port: '--port',
  cpuCores: '--cpu',
  memoryBytes: '--memory',
  restart: '--restart',
  command: '--command',
  health: '--health-…',
} as const satisfies Partial<Record<keyof Wishes, string>>;

/**
 * Decides what is deployed: what was asked for, or what the folder holds.
 *
 * @throws INVALID_ARGUMENT, SOURCE_REFUSED that lists what was looked for.
 */
export async function findSource(looking: Looking): Promise<FoundSource> {
  const { folder, wishes } = looking;
  const { image, git, dockerfile, compose, builder } = wishes;
  // Both are possible with a repository too: they say which file of it counts.
  const [isFolder, isFile] = [dockerfile, compose].map((wish) => wish !== undefined && git === undefined);
  const asked = [image !== undefined, git !== undefined, isFolder, isFile].filter(Boolean).length;
  if (asked > 1) throw refuse('--compose', 'only one of --image, --git, --dockerfile and --compose is possible');
  if (git !== undefined) {
    if (compose !== undefined && dockerfile !== undefined) {
      throw refuse('--compose', 'only one of --dockerfile and --compose is possible');
    }
    if (compose !== undefined) refuseForOneService(wishes);
    return { kind: 'git', git, name: nameFor(wishes, git.url.replace(/\/$/, '').replace(/\.git$/, '')), reason: '' };
  }
  if (image !== undefined) return { kind: 'image', reference: image, name: nameFor(wishes, image), reason: '' };
  if (dockerfile !== undefined) return { kind: 'folder', folder, name: nameFor(wishes, basename(folder)), reason: '' };
  if (typeof compose === 'string') return await composeAt(looking, fileOf(looking, compose), '');
  const wanted = compose === true ? 'compose' : builder;
  const found = detectBuild(await readSourceTree(folder, ''), wanted === undefined ? {} : { kind: wanted });
  if (found.kind === 'compose') return await composeAt(looking, join(folder, found.file), found.reason);
  if (found.kind === 'dockerfile') {
    return { kind: 'folder', folder, name: nameFor(wishes, basename(folder)), reason: '' };
  }
  if (found.kind === 'static') {
    const name = nameFor(wishes, basename(folder));
    return { kind: 'page', folder: dirname(join(folder, found.file)), name, reason: found.reason };
  }
  return { kind: 'application', folder, name: nameFor(wishes, basename(folder)), reason: found.reason };
}

/** What is typed is meant from where one stands, what the folder's settings say from the folder. */
function fileOf({ folder, cwd, options }: Looking, compose: string): string {
  return resolve(typeof options.compose === 'string' ? cwd : folder, compose);
}

/** @throws INVALID_ARGUMENT for a setting that the file has its own words for. */
function refuseForOneService(wishes: Wishes): void {
  for (const [wish, option] of Object.entries(FOR_ONE_SERVICE)) {
    if (wishes[wish as keyof typeof FOR_ONE_SERVICE] === undefined) continue;
    throw refuse(option, 'is not possible with a Compose file', 'Write it into the file.');
  }
}

async function composeAt({ wishes, env, folder }: Looking, path: string, reason: string): Promise<FoundSource> {
  refuseForOneService(wishes);
  const file = await readComposeFile({ file: path, variables: wishes.variables, env });
  const name = nameFor(wishes, file.application.name ?? basename(file.folder || folder));
  return { kind: 'compose', file, name, reason };
}

/** A name of its own needs none that follows from something. */
function nameFor({ name }: Wishes, text: string): string {
  return name ?? defaultName(text);
}

/** The last part of a path or image reference, as a DNS label where that is possible. */
export function defaultName(text: string): string {
  const last = text.replace(/@.*$/, '').split('/').at(-1)?.replace(/:.*$/, '') ?? '';
  const name = last
    .toLowerCase()
    .replace(/[^a-z0-9-]+/g, '-')
    .replace(/^[^a-z]+|-+$/g, '')
    .slice(0, 63)
    .replace(/-+$/, '');
  if (name.length >= 2) return name;
  throw refuse('--name', `"${last}" makes no name`, 'Give the deployment a name with --name.');
}
