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
  /**
   * Reads a file of settings; `null` when there is none.
   *
   * @throws SOURCE_REFUSED for one that is a link, lies below one, is larger than 256 KiB, or is no text.
   */
  read(path: string): Promise<string | null>;
  /**
   * Says by service what folders are built from: the hex SHA-256 of each as {@link pack} packs it. Together they may have
   * so many bytes; what is beyond is left out.
   *
   * @throws SOURCE_REFUSED for a folder that is not there, or is a link. The reason of an aborted signal.
   */
  digest(folders: readonly ContextFolder[], signal: AbortSignal): Promise<Readonly<Record<string, string>>>;
}

/** A folder that a service is built from, within the folder of the source; empty for that itself. */
export interface ContextFolder {
  readonly service: string;
  readonly folder: string;
  readonly dockerfilePath: string;
}

/** A Compose file of a commit, as the control plane is told. */
export interface ComposeReport {
  readonly deploymentId: string;
  readonly revision: number;
  readonly path: string;
  readonly file: string;
  readonly environmentFile: string;
  readonly contexts: Readonly<Record<string, string>>;
  readonly complete: boolean;
}

/** Tells the control plane a Compose file. Answers with what is to be built, or with why it is refused. */
export type ReportComposeFile = (report: ComposeReport) => Promise<{
  readonly refusalCode: string;
  readonly refusal: string;
  readonly hint: string;
  readonly builds: readonly ContextFolder[];
}>;

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
