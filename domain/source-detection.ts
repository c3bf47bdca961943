import { DomainError } from './errors.ts';

/** How a source becomes an image. */
export type BuildKind = 'compose' | 'dockerfile' | 'railpack' | 'nixpacks' | 'static';

/** A program that turns sources without a Dockerfile into images. */
export type Builder = 'railpack' | 'nixpacks';

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
  /** Builders that the node has, the preferred one first. */
  readonly builders: readonly Builder[];
}

/** A decision and its reason in words, which go on in "found …". */
export interface DetectedBuild {
  readonly kind: BuildKind;
  /** The file that decided; `index.html` stands for its folder. */
  readonly file: string;
  readonly reason: string;
}

/** Compose files in the order in which Compose itself looks for them. */
const COMPOSE_FILES = ['compose.yaml', 'compose.yml', 'docker-compose.yaml', 'docker-compose.yml'];

/** Folders that hold a page which is ready to be served, the root first. */
const PAGES = ['index.html', 'public/index.html', 'dist/index.html'];

/** Files that tell a builder which language it has before it. */
const LANGUAGES: readonly (readonly [file: string, language: string])[] = [
  ['package.json', 'Node.js'],
  ['deno.json', 'Deno'],
  ['requirements.txt', 'Python'],
  ['pyproject.toml', 'Python'],
  ['Pipfile', 'Python'],
  ['go.mod', 'Go'],
  ['Cargo.toml', 'Rust'],
  ['Gemfile', 'Ruby'],
  ['composer.json', 'PHP'],
  ['pom.xml', 'Java'],
  ['build.gradle', 'Java'],
  ['build.gradle.kts', 'Java'],
  ['mix.exs', 'Elixir'],
];

/** Root files whose content decides too. */
export const FILES_TO_READ = ['package.json'] as const;

/**
 * Decides how a source tree is built, and says why.
 *
 * What was asked for is taken at its word, and refused when the tree has nothing of it. Otherwise the most explicit wins:
 * a Dockerfile, a language that one of the node's builders knows, a page that is ready, a Compose file. A page beside a
 * `package.json` that builds something is the input of that build, not its result, unless it lies in `dist/`.
 *
 * @throws SOURCE_REFUSED that lists what was looked for.
 */
export function detectBuild(tree: SourceTree, wish: BuildWish): DetectedBuild {
  const finders: Record<BuildKind, () => DetectedBuild | undefined> = {
    compose: () => findCompose(tree, wish.composePath),
    dockerfile: () => findDockerfile(tree, wish.dockerfilePath),
    railpack: () => findLanguage(tree, 'railpack', wish),
    nixpacks: () => findLanguage(tree, 'nixpacks', wish),
    static: () => findPage(tree, wish),
  };
  const kinds: readonly BuildKind[] = wish.kind
    ? [wish.kind]
    : wish.dockerfilePath === undefined
      ? ['dockerfile', ...wish.builders, 'static', 'compose']
      : ['dockerfile'];
  for (const kind of kinds) {
    const found = finders[kind]();
    if (found) return wish.kind || wish.dockerfilePath !== undefined ? found : withPassedOver(tree, found);
  }
  throw nothingFound(tree, wish, kinds);
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

function findLanguage({ files }: SourceTree, builder: Builder, wish: BuildWish): DetectedBuild | undefined {
  if (!wish.builders.includes(builder)) return undefined;
  const [file, language] = LANGUAGES.find(([name]) => files.includes(name)) ?? [];
  if (file === undefined) return undefined;
  return { kind: builder, file, reason: `a ${language} application (${file}), which ${builder} builds` };
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

function nothingFound(tree: SourceTree, wish: BuildWish, kinds: readonly BuildKind[]): DomainError {
  const lookedFor: Record<BuildKind, string> = {
    compose: wish.composePath ?? `a Compose file (${COMPOSE_FILES.join(', ')})`,
    dockerfile: wish.dockerfilePath ?? 'a Dockerfile',
    railpack: `a language for railpack (${LANGUAGES.map(([file]) => file).join(', ')})`,
    nixpacks: `a language for nixpacks (${LANGUAGES.map(([file]) => file).join(', ')})`,
    static: `a page (${PAGES.join(', ')})`,
  };
  const missing = kinds.find((kind) => (kind === 'railpack' || kind === 'nixpacks') && !wish.builders.includes(kind));
  if (missing) {
    return new DomainError('SOURCE_REFUSED', `the source cannot be built by ${missing}: no node has it`, {
      hint: `Install ${missing}, or add a Dockerfile.`,
    });
  }
  const [language] = LANGUAGES.filter(([file]) => tree.files.includes(file));
  const hint = hintFor(wish, language?.[1]);
  const list = kinds.map((kind) => lookedFor[kind]).join('; ');
  return new DomainError('SOURCE_REFUSED', `the source cannot be built: looked for ${list}; found none`, { hint });
}

function hintFor({ kind }: BuildWish, language: string | undefined): string {
  if (kind === 'compose') return 'Name the file with --compose, or the folder that has it with --subdirectory.';
  if (language !== undefined && kind === undefined) {
    return `Add a Dockerfile: no builder for ${language} is installed.`;
  }
  return 'Add a Dockerfile, or build the subdirectory that has one.';
}
