import type { Readable } from 'node:stream';
import type { BuildImageInput } from '../contracts/node-activities.ts';
import type { BuildSource } from '../contracts/rollout.ts';
import { DomainError } from '../domain/errors.ts';
import { type DetectedBuild, detectBuild } from '../domain/source-detection.ts';
import { siteDockerfile } from '../domain/static-site.ts';
import type { FetchedTree } from './git-ports.ts';
import type { BuildPorts } from './node-ports.ts';

/** What Docker is given. */
export interface BuildContext {
  readonly context: Readable;
  readonly dockerfilePath: string;
  /** What was found in the source; absent where the caller had said how it is built. */
  readonly detected?: string;
}

/** How a context is made. */
export interface Making {
  readonly signal: AbortSignal;
  /** Told what happens, for people. */
  readonly print: (line: string) => void;
}

/**
 * Makes the context of a build for as long as `use` takes: an uploaded folder, or exactly the files of a commit, which
 * are fetched first and looked at where nobody said how they are built.
 *
 * @throws SOURCE_REFUSED when there is nothing to build in a commit; as {@link BuildPorts} says.
 */
export async function withContext<Answer>(
  ports: Pick<BuildPorts, 'fetchContext' | 'git' | 'site'>,
  { source, ...of }: BuildImageInput,
  making: Making,
  use: (made: BuildContext) => Promise<Answer>,
): Promise<Answer> {
  const { signal, print } = making;
  if (source.kind === 'dockerfile') {
    const { contextSha256, dockerfilePath } = source;
    const { deploymentId } = of;
    return await use({ context: ports.fetchContext({ deploymentId, contextSha256 }, signal), dockerfilePath });
  }
  if (source.kind === 'static') {
    const { contextSha256, folder } = source;
    const page = ports.fetchContext({ deploymentId: of.deploymentId, contextSha256 }, signal);
    return await use({
      context: ports.site.pack(page, siteDockerfile(ports.site, folder)),
      dockerfilePath: DOCKERFILE,
    });
  }
  const { url, commit, subdirectory, submodules } = source;
  print(`fetching ${commit} of ${url}`);
  const wanted = { ...of, url, commit, subdirectory, submodules };
  return await ports.git.withCommit(wanted, { signal, onProgress: print }, (fetched) =>
    use(fromCommit(ports, source, fetched, print)),
  );
}

/** What pages are built by. */
const DOCKERFILE = 'Dockerfile';

function fromCommit(
  { site }: Pick<BuildPorts, 'site'>,
  { dockerfilePath }: Extract<BuildSource, { kind: 'git' }>,
  { tree, pack }: FetchedTree,
  print: Making['print'],
): BuildContext {
  const found = detectBuild(tree, { builders: [], ...(dockerfilePath === undefined ? {} : { dockerfilePath }) });
  if (found.kind !== 'dockerfile' && found.kind !== 'static') throw unbuildable(found);
  const detected = `found ${found.reason}`;
  print(detected);
  if (found.kind === 'static') {
    const context = site.pack(pack(DOCKERFILE), siteDockerfile(site, posixFolder(found.file)));
    return { context, dockerfilePath: DOCKERFILE, detected };
  }
  return { context: pack(found.file), dockerfilePath: found.file, detected };
}

/** The folder of a file, empty for the root. */
function posixFolder(file: string): string {
  return file.slice(0, Math.max(0, file.lastIndexOf('/')));
}

function unbuildable({ kind, reason }: DetectedBuild): DomainError {
  if (kind === 'compose') {
    return new DomainError(
      'SOURCE_REFUSED',
      `the source cannot be built: found ${reason}, which makes several services`,
      {
        hint: 'Deploy the repository again with --compose, or name a Dockerfile.',
      },
    );
  }
  return new DomainError('SOURCE_REFUSED', `the source cannot be built: found ${reason}, and no Dockerfile`, {
    hint: 'Add a Dockerfile.',
  });
}
