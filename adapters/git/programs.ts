import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { DomainError } from '../../domain/errors.ts';
import { findProgram } from '../processes/find-program.ts';

/** The first with `http.curloptResolve`, which pins the address that was checked. */
const OLDEST_GIT = [2, 37] as const;

const ANSWER_TIMEOUT_MS = 10_000;

/** The programs of this machine that Git sources need, by their absolute paths. */
export interface GitPrograms {
  readonly git: string;
  /** Without it sources over SSH are refused. */
  readonly ssh: string | undefined;
  /** Linux has it; elsewhere a download is cut off by what git reports about it, and memory is not bounded. */
  readonly prlimit: string | undefined;
  /** Where git and what it starts look for programs. */
  readonly searchPath: string;
}

/**
 * Looks the programs up, as a shell would.
 *
 * @throws CONFIGURATION when there is no git, or one that is too old.
 */
export async function findGitPrograms(searchPath: string): Promise<GitPrograms> {
  const git = await findProgram('git', searchPath);
  if (git === undefined) throw unusable('there is none on the PATH');
  const { stdout } = await promisify(execFile)(git, ['version'], { timeout: ANSWER_TIMEOUT_MS });
  const [, major, minor] = /(\d+)\.(\d+)/.exec(stdout) ?? [];
  const isNewEnough =
    Number(major) > OLDEST_GIT[0] || (Number(major) === OLDEST_GIT[0] && Number(minor) >= OLDEST_GIT[1]);
  if (!isNewEnough) throw unusable(`${git} is ${stdout.trim()}`);
  const [ssh, prlimit] = await Promise.all([findProgram('ssh', searchPath), findProgram('prlimit', searchPath)]);
  return { git, ssh, prlimit, searchPath };
}

function unusable(finding: string): DomainError {
  return new DomainError('CONFIGURATION', `no usable git: ${finding}; needed is ${OLDEST_GIT.join('.')} or newer`, {
    hint: 'Install git and openssh-client.',
  });
}
