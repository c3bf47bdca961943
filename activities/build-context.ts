import type { Readable } from 'node:stream';
import type { BuildImageInput } from '../contracts/node-activities.ts';
import type { BuildSource } from '../contracts/rollout.ts';
import { DomainError } from '../domain/errors.ts';
import { NIXPACKS_DOCKERFILE } from '../domain/nixpacks.ts';
import { type BuildWish, type DetectedBuild, detectBuild } from '../domain/source-detection.ts';
import { siteDockerfile } from '../domain/static-site.ts';
import type { FetchedTree } from './git-ports.ts';
import type { BuildPorts } from './node-ports.ts';

/** What Docker is given. */
export interface BuildContext {
  readonly context: Readable;
  readonly dockerfilePath: string;
  /** What the arguments are, where those that were asked for are not all. */
  readonly args?: Readonly<Record<string, string>>;
  /** What was found in the source; absent where the caller had said how it is built. */
  readonly detected?: string;
}

/** How a context is made. */
export interface Making {
  readonly signal: AbortSignal;
  /** Told what happens, for people. */
  readonly print: (line: string) => void;
}

/** What a context is made of, with the values of the build's arguments. */
export type Made = BuildImageInput & { readonly args: Readonly<Record<string, string>> };

type Ports = Pick<BuildPorts, 'fetchContext' | 'git' | 'site' | 'nixpacks'>;

/**
 * Makes the context of a build for as long as `use` takes: an uploaded folder, or exactly the files of a commit, which
 * are fetched first and looked at where nobody said how they are built.
 *
 * @throws SOURCE_REFUSED when there is nothing to build in a commit; as {@link BuildPorts} says.
 */
export async function withContext<Answer>(
  ports: Ports,
  { source, args, ...of }: Made,
  making: Making,
  use: (made: BuildContext) => Promise<Answer>,
): Promise<Answer> {
  const { signal, print } = making;
  if (source.kind !== 'git') {
    const uploaded = ports.fetchContext({ deploymentId: of.deploymentId, contextSha256: source.contextSha256 }, signal);
    if (source.kind === 'dockerfile') return await use({ context: uploaded, dockerfilePath: source.dockerfilePath });
    if (source.kind === 'nixpacks') return await withPlan(ports, uploaded, { ...making, args }, use);
    const context = ports.site.pack(uploaded, siteDockerfile(ports.site, source.folder));
    return await use({ context, dockerfilePath: DOCKERFILE });
  }
  const { url, commit, subdirectory, submodules } = source;
  print(`fetching ${commit} of ${url}`);
  const wanted = { ...of, url, commit, subdirectory, submodules };
  return await ports.git.withCommit(wanted, { signal, onProgress: print }, async (fetched) => {
    if (source.builder === 'nixpacks') return await withPlan(ports, fetched.pack(DOCKERFILE), { ...making, args }, use);
    return await use(fromCommit(ports, source, fetched, print));
  });
}

/** What pages are built by. */
const DOCKERFILE = 'Dockerfile';

async function withPlan<Answer>(
  { nixpacks }: Ports,
  source: Readable,
  { args, signal, print }: Making & Pick<Made, 'args'>,
  use: (made: BuildContext) => Promise<Answer>,
): Promise<Answer> {
  if (!nixpacks) throw noNixpacks();
  return await nixpacks.withPlan({ source, variables: args, signal, print }, async ({ found, ...planned }) => {
    const detected = `built by nixpacks ${nixpacks.version}: ${found}`;
    print(detected);
    return await use({ ...planned, dockerfilePath: NIXPACKS_DOCKERFILE, detected });
  });
}

function fromCommit(
  { site }: Pick<BuildPorts, 'site'>,
  source: Extract<BuildSource, { kind: 'git' }>,
  { tree, pack }: FetchedTree,
  print: Making['print'],
): BuildContext {
  const found = detectBuild(tree, wishOf(source));
  if (found.kind !== 'dockerfile' && found.kind !== 'static') throw unbuildable(found);
  const detected = `found ${found.reason}`;
  print(detected);
  if (found.kind === 'static') {
    const context = site.pack(pack(DOCKERFILE), siteDockerfile(site, posixFolder(found.file)));
    return { context, dockerfilePath: DOCKERFILE, detected };
  }
  return { context: pack(found.file), dockerfilePath: found.file, detected };
}

function wishOf({ builder, dockerfilePath }: Extract<BuildSource, { kind: 'git' }>): BuildWish {
  const named = dockerfilePath === undefined ? {} : { dockerfilePath };
  return builder === undefined ? named : { ...named, kind: builder };
}

/** The folder of a file, empty for the root. */
function posixFolder(file: string): string {
  return file.slice(0, Math.max(0, file.lastIndexOf('/')));
}

/** Nodes that have it were looked for when the build was planned. */
function noNixpacks(): DomainError {
  return new DomainError('SOURCE_REFUSED', 'the source cannot be built: this node has no nixpacks any more', {
    hint: 'Deploy again, so that a node is chosen that has it; or add a Dockerfile.',
  });
}

function unbuildable({ kind, reason }: DetectedBuild): DomainError {
  const [what, how] =
    kind === 'compose'
      ? [', which makes several services', 'with --compose']
      : ['; how it is built was decided before, and is not changed by a push', 'so that it is looked at anew'];
  return new DomainError('SOURCE_REFUSED', `the source cannot be built: found ${reason}${what}`, {
    hint: `Deploy the repository again ${how}, or name a Dockerfile.`,
  });
}
