import { posix } from 'node:path';
import { Context } from '@temporalio/activity';
import type { ReadingActivities, ReadSourceInput } from '../contracts/source-reading.ts';
import { DomainError, toErrorCode } from '../domain/errors.ts';
import { type DetectedBuild, detectBuild } from '../domain/source-detection.ts';
import type { ComposeReport, FetchedTree, GitPorts, ReportComposeFile } from './git-ports.ts';
import { withHeartbeats } from './heartbeats.ts';

/** What looking at sources needs from the world. */
export interface ReadingPorts {
  readonly git: Pick<GitPorts, 'withCommit'>;
  /** Tells the control plane a Compose file. @throws NODE_UNAVAILABLE (retryable) */
  readonly reportComposeFile: ReportComposeFile;
}

/**
 * Creates the activity that looks at a commit, and tells the control plane the Compose file that it finds there.
 *
 * Safe to run twice: it changes nothing but what the control plane keeps of it, where the newer report replaces the older
 * one. What a file says is neither in its answer nor in its failures, for both are kept in a history. A cancel ends the
 * fetch at once.
 *
 * @throws SOURCE_REFUSED (final) for what cannot be built, and with the reason why a file cannot be deployed.
 */
export function createReadSource({ git, reportComposeFile }: ReadingPorts): ReadingActivities {
  return {
    readSource: (input) =>
      withHeartbeats({ step: 'read the source' }, async ({ report }) => {
        const { url, commit, subdirectory, submodules } = input.source;
        const signal = Context.current().cancellationSignal;
        const { deploymentId, revision, service } = input;
        const wanted = { deploymentId, revision, service, url, commit, subdirectory, submodules };
        const onProgress = (step: string): void => report({ step });
        return await git.withCommit(wanted, { signal, onProgress }, async (fetched) => {
          const found = find(input, fetched);
          if (found.kind === 'nixpacks') return { kind: 'image', builder: found.kind, reason: found.reason };
          if (found.kind !== 'compose') return { kind: 'image', reason: found.reason };
          await tell({ deploymentId, revision, path: found.file }, fetched, { reportComposeFile, signal });
          return { kind: 'compose', reason: found.reason };
        });
      }),
  };
}

function find({ source }: ReadSourceInput, { tree }: FetchedTree): DetectedBuild {
  const { composePath, onlyCompose } = source;
  if (!onlyCompose) return detectBuild(tree);
  return detectBuild(tree, { kind: 'compose', ...(composePath === null ? {} : { composePath }) });
}

type Named = Pick<ComposeReport, 'deploymentId' | 'revision' | 'path'>;

/** The first report is answered with what is to be built, the second one says what that is made of. */
async function tell(
  named: Named,
  fetched: FetchedTree,
  { reportComposeFile, signal }: Pick<ReadingPorts, 'reportComposeFile'> & { readonly signal: AbortSignal },
): Promise<void> {
  const file = await fetched.read(named.path);
  if (file === null) throw missing(named.path);
  const environmentFile = (await fetched.read(posix.join(posix.dirname(named.path), '.env'))) ?? '';
  const report = { ...named, file, environmentFile };
  const first = await reportComposeFile({ ...report, contexts: {}, complete: false });
  checkTaken(first);
  const contexts = await fetched.digest(first.builds, signal);
  checkTaken(await reportComposeFile({ ...report, contexts, complete: true }));
}

function checkTaken({ refusalCode, refusal, hint }: Awaited<ReturnType<ReportComposeFile>>): void {
  if (refusalCode === '') return;
  const code = toErrorCode(refusalCode);
  throw new DomainError(code === undefined || code === 'INVALID_ARGUMENT' ? 'SOURCE_REFUSED' : code, refusal, { hint });
}

function missing(path: string): DomainError {
  return new DomainError('SOURCE_REFUSED', `the source cannot be deployed: it has no file ${JSON.stringify(path)}`, {
    hint: 'Name the file with --compose, or the folder that has it with --subdirectory.',
  });
}
