import type { Readable } from 'node:stream';
import type { ServiceRef } from '../contracts/rollout.ts';
import type { SourceTree } from '../domain/source-detection.ts';
import type { GitSource } from '../domain/spec.ts';

/** A commit of a service's repository. */
export type CommitRef = ServiceRef &
  Pick<GitSource, 'url' | 'subdirectory' | 'submodules'> & { readonly commit: string };

/** The files of a commit on this node's disk. */
export interface FetchedTree {
  readonly tree: SourceTree;
  /** Packs them as a build context, without what `.dockerignore` leaves out but with the Dockerfile. */
  pack(dockerfile: string): Readable;
}

/**
 * Git repositories as this node reads them, with the credential of the deployment's organization. Every process that is
 * started has ended when a call settles.
 *
 * Throws SOURCE_REFUSED (final), SOURCE_UNAVAILABLE and NODE_UNAVAILABLE (retryable), CONFIGURATION when the node has no
 * usable git, and the reason of an aborted signal.
 */
export interface GitPorts {
  /** Asks a server which commit a ref stands for. */
  resolveRef(
    of: ServiceRef & { readonly url: string; readonly ref: string },
    signal: AbortSignal,
  ): Promise<{ readonly commit: string }>;
  /** Fetches the files of a commit for as long as `use` takes; then they are gone, however it ended. */
  withCommit<Answer>(
    of: CommitRef,
    options: { readonly signal: AbortSignal; readonly onProgress: (line: string) => void },
    use: (fetched: FetchedTree) => Promise<Answer>,
  ): Promise<Answer>;
  /** Forgets the host keys that were learnt for a deployment. */
  forget(deploymentId: string): Promise<void>;
}
