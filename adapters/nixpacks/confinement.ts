import { findProgram } from '../processes/find-program.ts';

/** Who nixpacks runs as where this process may choose: nobody, whom no file of a machine belongs to. */
export const NOBODY = 65_534;

/** Of one run: memory that it may write to, its processor time, and the largest file that it may write. */
const LIMITS = ['--data=1073741824', '--cpu=60', '--fsize=16777216', '--nofile=1024', '--core=0'];

/** No network, no shared memory and no sight of other processes; what it starts dies with it. */
const ALONE = ['--net', '--ipc', '--uts', '--pid', '--fork', '--kill-child=KILL'];

/** A way to run a program that nobody trusts. */
export interface Confinement {
  /** What stands before the program. */
  readonly prefix: readonly string[];
  /** Whether it runs as {@link NOBODY}; else as this process does. */
  readonly asNobody: boolean;
  /** For people. */
  readonly words: string;
}

/**
 * The ways that this machine may have, the tightest first. Whether a way works, only a try shows: containers and some
 * kernels forbid namespaces.
 *
 * Each takes its own user or namespaces from the program, all capabilities and what could give them back. Where neither
 * is possible there is no way: what the program reads then, this process could read.
 */
export async function listConfinements(searchPath: string, uid: number): Promise<readonly Confinement[]> {
  const find = (name: string) => findProgram(name, searchPath);
  const [unshare, setpriv, prlimit] = await Promise.all([find('unshare'), find('setpriv'), find('prlimit')]);
  if (setpriv === undefined || prlimit === undefined) return [];
  const limited = ['--', prlimit, ...LIMITS, '--'];
  if (uid !== 0) {
    if (unshare === undefined) return [];
    const prefix = [unshare, '--user', ...ALONE, '--', setpriv, '--no-new-privs', ...limited];
    return [{ prefix, asNobody: false, words: 'in namespaces of its own' }];
  }
  const identity = [`--reuid=${NOBODY}`, `--regid=${NOBODY}`, '--clear-groups'];
  const unprivileged = [setpriv, ...identity, '--no-new-privs', '--bounding-set=-all', '--inh-caps=-all', ...limited];
  const asNobody = { prefix: unprivileged, asNobody: true, words: 'as nobody' };
  if (unshare === undefined) return [asNobody];
  const prefix = [unshare, ...ALONE, '--', ...unprivileged];
  return [{ prefix, asNobody: true, words: 'as nobody, in namespaces of its own' }, asNobody];
}
