import { DomainError } from './errors.ts';

/** How a source becomes an image. */
export type BuildKind = 'compose' | 'dockerfile' | 'nixpacks' | 'static';

/** All of {@link BuildKind}, in the order in which they are looked for where nobody says. */
export const BUILD_KINDS = ['dockerfile', 'static', 'compose', 'nixpacks'] as const satisfies readonly BuildKind[];

/** What is known of a source tree. */
export interface SourceTree {
  /** Names of the files at the root of what is built; those in `public/` and `dist/` as `public/name`, `dist/name`. */
  readonly files: readonly string[];
  /** Contents of those of {@link FILES_TO_READ} that are there. */
  readonly contents: Readonly<Record<string, string>>;
}

/** What the one who deploys says about the build. */
export interface BuildWish {
  /** What was asked for; without it the tree decides. */
  readonly kind?: BuildKind;
  /** Where the Dockerfile lies when it has another name. */
  readonly dockerfilePath?: string;
  /** Where the Compose file lies when it has another name. Only beside the kind. */
  readonly composePath?: string;
}

/** A decision and its reason in words, which go on in "found …". */
export interface DetectedBuild {
  readonly kind: BuildKind;
  /** The file that decided; `index.html` stands for its folder. Empty where nixpacks was asked for and knows itself. */
  readonly file: string;
  readonly reason: string;
}

/** Compose files in the order in which Compose itself looks for them. */
const COMPOSE_FILES = ['compose.yaml', 'compose.yml', 'docker-compose.yaml', 'docker-compose.yml'];

/** Folders that hold a page which is ready to be served, the root first. */
const PAGES = ['index.html', 'public/index.html', 'dist/index.html'];

/** Files that tell nixpacks what it has before it, with what that is. Its own settings may say what no other file does. */
const APPLICATIONS: readonly (readonly [file: string, application: string])[] = [
  ['nixpacks.toml', 'an application with settings for nixpacks'],
  ['package.json', 'a Node.js application'],
  ['deno.json', 'a Deno application'],
  ['deno.jsonc', 'a Deno application'],
  ['requirements.txt', 'a Python application'],
  ['pyproject.toml', 'a Python application'],
  ['Pipfile', 'a Python application'],
  ['main.py', 'a Python application'],
  ['go.mod', 'a Go application'],
  ['main.go', 'a Go application'],
  ['Cargo.toml', 'a Rust application'],
  ['Gemfile', 'a Ruby application'],
  ['composer.json', 'a PHP application'],
  ['index.php', 'a PHP application'],
  ['pom.xml', 'a Java application'],
  ['build.gradle', 'a Java application'],
  ['build.gradle.kts', 'a Java application'],
  ['mix.exs', 'an Elixir application'],
];

/** Root files whose content decides too. */
export const FILES_TO_READ = ['package.json'] as const;

/**
 * Decides how a source tree is built, and says why.
 *
 * What was asked for is taken at its word, and refused when the tree has nothing of it. Otherwise the most explicit wins:
 * a Dockerfile, a page that is ready, a Compose file, an application that nixpacks knows. A page beside a `package.json`
 * that builds something is the input of that build, not its result, unless it lies in `dist/`.
 *
 * Which programs a node has does not count, so the same source is built in the same way everywhere.
 *
 * @throws SOURCE_REFUSED that lists what was looked for.
 */
export function detectBuild(tree: SourceTree, wish: BuildWish = {}): DetectedBuild {
  const finders: Record<BuildKind, () => DetectedBuild | undefined> = {
    compose: () => findCompose(tree, wish.composePath),
    dockerfile: () => findDockerfile(tree, wish.dockerfilePath),
    nixpacks: () => findApplication(tree, wish),
    static: () => findPage(tree, wish),
  };
  const kinds: readonly BuildKind[] = wish.kind
    ? [wish.kind]
    : wish.dockerfilePath === undefined
      ? BUILD_KINDS
      : ['dockerfile'];
  for (const kind of kinds) {
    const found = finders[kind]();
    if (found) return wish.kind || wish.dockerfilePath !== undefined ? found : withPassedOver(tree, found);
  }
  throw nothingFound(wish, kinds);
}

/** What nixpacks has before it, in words; `undefined` for what only it may know. */
export function applicationOf({ files }: SourceTree): string | undefined {
  const found = APPLICATIONS.find(([name]) => files.includes(name));
  return found && `${found[1]} (${found[0]} at its root)`;
}

/** Two are often there: a Compose file beside a Dockerfile is mostly for the machines of developers. */
function withPassedOver(tree: SourceTree, found: DetectedBuild): DetectedBuild {
  const passedOver = found.kind === 'compose' ? undefined : findCompose(tree);
  if (!passedOver) return found;
  return { ...found, reason: `${found.reason}; ${passedOver.file} is there too, and taken with --compose` };
}

/** One below a folder is looked for by whoever reads it, who knows the whole tree. */
function findCompose({ files }: SourceTree, path?: string): DetectedBuild | undefined {
  if (path !== undefined) {
    const isThere = path.includes('/') || files.includes(path);
    return isThere
      ? { kind: 'compose', file: path, reason: `a Compose file asked for by its name, ${path}` }
      : undefined;
  }
  const file = COMPOSE_FILES.find((name) => files.includes(name));
  return file === undefined ? undefined : { kind: 'compose', file, reason: `the Compose file ${file} at its root` };
}

/** A Dockerfile below a folder is looked for by the build itself, which knows the whole tree. */
function findDockerfile({ files }: SourceTree, path = 'Dockerfile'): DetectedBuild | undefined {
  if (!path.includes('/') && !files.includes(path)) return undefined;
  const reason = path === 'Dockerfile' ? 'a Dockerfile at its root' : `a Dockerfile asked for by its name, ${path}`;
  return { kind: 'dockerfile', file: path, reason };
}

/** What was asked for is for nixpacks itself to judge, which knows more languages than are listed here. */
function findApplication(tree: SourceTree, wish: BuildWish): DetectedBuild | undefined {
  const [file] = APPLICATIONS.find(([name]) => tree.files.includes(name)) ?? [];
  const application = applicationOf(tree);
  if (file !== undefined) return { kind: 'nixpacks', file, reason: `${application}, which nixpacks builds` };
  return wish.kind === 'nixpacks'
    ? { kind: 'nixpacks', file: '', reason: 'nixpacks asked for by its name' }
    : undefined;
}

function findPage(tree: SourceTree, wish: BuildWish): DetectedBuild | undefined {
  const isAskedFor = wish.kind === 'static';
  const candidates = isAskedFor || !hasBuildScript(tree) ? PAGES : PAGES.filter((page) => page.startsWith('dist/'));
  const file = candidates.find((page) => tree.files.includes(page));
  if (file === undefined) return undefined;
  const folder = file.includes('/') ? `in ${file.slice(0, file.indexOf('/'))}/` : 'at its root';
  return { kind: 'static', file, reason: `an index.html ${folder}` };
}

/** What is no JSON builds nothing that we know of. */
function hasBuildScript({ contents }: SourceTree): boolean {
  try {
    const parsed = JSON.parse(contents['package.json'] ?? '{}') as { scripts?: { build?: unknown } } | null;
    return typeof parsed?.scripts?.build === 'string';
  } catch {
    return false;
  }
}

function nothingFound(wish: BuildWish, kinds: readonly BuildKind[]): DomainError {
  const lookedFor: Record<BuildKind, string> = {
    compose: wish.composePath ?? `a Compose file (${COMPOSE_FILES.join(', ')})`,
    dockerfile: wish.dockerfilePath ?? 'a Dockerfile',
    nixpacks: `an application for nixpacks (${APPLICATIONS.map(([file]) => file).join(', ')})`,
    static: `a page (${PAGES.join(', ')})`,
  };
  const list = kinds.map((kind) => lookedFor[kind]).join('; ');
  const hint =
    wish.kind === 'compose'
      ? 'Name the file with --compose, or the folder that has it with --subdirectory.'
      : 'Add a Dockerfile, or build the subdirectory that has one.';
  return new DomainError('SOURCE_REFUSED', `the source cannot be built: looked for ${list}; found none`, { hint });
}
