import { tmpdir } from 'node:os';
import { findProgram } from '../processes/find-program.ts';
import { readOutput, runProcess } from '../processes/run-process.ts';
import { type Confinement, listConfinements } from './confinement.ts';

/** How long it may take to say its version. */
const ANSWER_TIMEOUT_MS = 10_000;

/** A nixpacks that this machine can run, and how. */
export interface FoundNixpacks {
  readonly program: string;
  readonly version: string;
  readonly confinement: Confinement;
}

/** Where it is looked for. */
export interface NixpacksPlaces {
  /** Absolute path of the program; absent: it is looked for on the search path. */
  readonly path: string | undefined;
  readonly searchPath: string;
}

/**
 * Looks nixpacks up, and tries to run it in the tightest way that this machine allows.
 *
 * @returns in words why it cannot be used, `null` where it is not there and nobody said that it were.
 */
export async function findNixpacks({ path, searchPath }: NixpacksPlaces): Promise<FoundNixpacks | string | null> {
  const program = path ?? (await findProgram('nixpacks', searchPath));
  if (program === undefined) return null;
  const confinements = await listConfinements(searchPath, process.getuid?.() ?? -1);
  let problem = 'this machine can run it neither as another user nor in namespaces of its own';
  for (const confinement of confinements) {
    const found = await askVersion(program, confinement);
    if (typeof found !== 'string') return { program, confinement, ...found };
    problem = found;
  }
  return `${program} is not used: ${problem}`;
}

async function askVersion(program: string, { prefix, words }: Confinement): Promise<{ version: string } | string> {
  const lines: string[] = [];
  const call = {
    command: [...prefix, program, '--version'],
    name: 'nixpacks',
    env: BARE,
    cwd: tmpdir(),
    signal: AbortSignal.timeout(ANSWER_TIMEOUT_MS),
    onLine: (line: string) => void (lines.length < 3 && lines.push(line)),
  };
  try {
    const said = await runProcess(call, readOutput(1000));
    const [, version] = /^nixpacks (\d[0-9A-Za-z.+-]{0,62})\s*$/.exec(said) ?? [];
    return version === undefined
      ? `${words} it says ${JSON.stringify(said.slice(0, 80))} for its version`
      : { version };
  } catch (error) {
    return `${words} it does not run (${lines.at(-1) ?? (error instanceof Error ? error.message : error)})`;
  }
}

/** All of the environment of a run: nothing of this process's own. */
export const BARE: Readonly<Record<string, string>> = { PATH: '/usr/bin:/bin', LC_ALL: 'C', NO_COLOR: '1' };
