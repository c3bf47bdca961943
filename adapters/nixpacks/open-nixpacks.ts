import { chown, lstat, mkdir, mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { z } from 'zod';
import { DomainError } from '../../domain/errors.ts';
import { checkPlan, checkVariables, NIXPACKS_FOLDER } from '../../domain/nixpacks.ts';
import { applicationOf } from '../../domain/source-detection.ts';
import { ProcessFailed, readOutput, runProcess } from '../processes/run-process.ts';
import { listContext, packContext } from '../sources/pack-context.ts';
import { readSourceTree } from '../sources/source-tree.ts';
import { shareFolder, unpackContext } from '../sources/unpack-context.ts';
import { NOBODY } from './confinement.ts';
import { BARE, type FoundNixpacks } from './find-nixpacks.ts';
import { readGenerated } from './generated-files.ts';

/** Longest run: it reads files and writes a few, so seconds are much. */
const RUN_TIMEOUT_MS = 60_000;

/** Of one run what it prints. A plan holds the texts of what it serves itself. */
const MAX_OUTPUT_BYTES = 4 * 1024 ** 2;

/** As large as a context may be that is uploaded. */
const LIMITS = { unpackedBytes: 512 * 1024 ** 2, entries: 100_000 };

const WORK_PREFIX = 'obiente-nixpacks-';

/** What a process that was killed has left is garbage; no build takes so long. */
const ABANDONED_AFTER_MS = 24 * 3_600_000;

/** A plan is wanted. */
export interface PlanRequest {
  /** The source, a tar archive. */
  readonly source: Readable;
  /** Variables of the build. */
  readonly variables: Readonly<Record<string, string>>;
  readonly signal: AbortSignal;
  /** Told what nixpacks prints, for people. */
  readonly print: (line: string) => void;
}

/** What a source is built by. */
export interface PlannedBuild {
  /** The source with the files that nixpacks made beside it, in a folder of their own. */
  readonly context: Readable;
  /** Values of the build's arguments: those of the request, and what nixpacks adds. */
  readonly args: Readonly<Record<string, string>>;
  /** What was found, for people. */
  readonly found: string;
}

/** Plans of builds by nixpacks. */
export interface Nixpacks {
  readonly version: string;
  /**
   * Plans a build, for as long as `use` takes. Every process that is started has ended by then, and no file outlives it.
   *
   * Nothing of a source is run by it, nor trusted: nixpacks sees the source and what everybody of the machine may see,
   * writes to one folder, and has neither network nor anything of this process's environment.
   *
   * @throws SOURCE_REFUSED, BUILD_FAILED (final); the reason of the signal; what `use` throws.
   */
  withPlan<Answer>(request: PlanRequest, use: (planned: PlannedBuild) => Promise<Answer>): Promise<Answer>;
}

/** Opens a nixpacks that was found, and removes what plans of a process that was killed have left. */
export async function openNixpacks(found: FoundNixpacks): Promise<Nixpacks> {
  await removeAbandoned();
  const group = found.confinement.asNobody ? NOBODY : undefined;
  return {
    version: found.version,
    withPlan: async (request, use) => {
      checkVariables(request.variables);
      // Below the folder of this node's keys nobody else may look for anything.
      const work = await mkdtemp(join(tmpdir(), WORK_PREFIX));
      try {
        await shareFolder(work, group);
        return await use(await plan(found, { ...request, work, group }));
      } finally {
        await rm(work, { recursive: true, force: true });
      }
    },
  };
}

interface Task extends PlanRequest {
  readonly work: string;
  readonly group: number | undefined;
}

async function plan(nixpacks: FoundNixpacks, task: Task): Promise<PlannedBuild> {
  const { work, group, source, variables, signal, print } = task;
  const [folder, out] = [join(work, 'source'), join(work, 'out')] as const;
  await Promise.all([mkdir(folder, { mode: 0o700 }), mkdir(out, { mode: 0o700 })]);
  await shareFolder(folder, group);
  // The folder that is written to belongs to whoever writes.
  if (group !== undefined) await chown(out, group, group);
  await unpackContext(source, { into: folder, group, limits: LIMITS, without: NIXPACKS_FOLDER, signal });
  const tree = await readSourceTree(folder, '');
  const given = Object.entries(variables).flatMap(([name, value]) => ['--env', `${name}=${value}`]);
  const text = await run(nixpacks, { ...task, args: ['plan', folder, '--format', 'json', ...given], out });
  const args = checkPlan(readPlan(text));
  // Mounts for caches are of a builder that is not used here, and tenants would share them.
  const written = await run(nixpacks, { ...task, args: ['build', folder, '--out', out, '--no-cache', ...given], out });
  for (const line of written.split('\n')) print(line);
  const subfolder = /^Using subdirectory "(.*)"$/m.exec(written)?.[1];
  if (subfolder !== undefined) throw below(subfolder);
  const [entries, generated] = await Promise.all([listContext(folder, ''), readGenerated(out)]);
  // What it leaves out is left out by now; the builder would leave out the files of nixpacks by it.
  const kept = entries.filter(({ path }) => path !== '.dockerignore');
  const context = Readable.from(packContext(folder, kept, generated), { objectMode: false });
  return { context, args, found: applicationOf(tree) ?? 'asked for by its name' };
}

async function run(
  { program, confinement }: FoundNixpacks,
  {
    args,
    out,
    signal,
    print,
  }: Pick<Task, 'signal' | 'print'> & { readonly args: readonly string[]; readonly out: string },
): Promise<string> {
  const timeout = AbortSignal.timeout(RUN_TIMEOUT_MS);
  const call = {
    command: [...confinement.prefix, program, ...args],
    name: 'nixpacks',
    env: { ...BARE, HOME: out, TMPDIR: out },
    cwd: out,
    signal: AbortSignal.any([signal, timeout]),
    onLine: print,
  };
  let printed = '';
  try {
    return await runProcess(call, async (output) => {
      printed = await readOutput(MAX_OUTPUT_BYTES, 'nixpacks')(output);
      return printed;
    });
  } catch (error) {
    signal.throwIfAborted();
    if (timeout.aborted) throw failed(`nixpacks takes longer than ${RUN_TIMEOUT_MS / 1000} s`, error);
    if (!(error instanceof ProcessFailed)) throw error;
    for (const line of printed.split('\n')) print(line);
    throw failed('nixpacks makes no plan of this source', error);
  }
}

const planSchema = z.object({
  variables: z.record(z.string(), z.string()).nullish(),
  staticAssets: z.record(z.string(), z.unknown()).nullish(),
  phases: z.record(z.string(), z.object({ nixpkgsArchive: z.string().nullish() })).nullish(),
});

function readPlan(text: string): z.infer<typeof planSchema> {
  try {
    return planSchema.parse(JSON.parse(text));
  } catch (error) {
    throw failed('what nixpacks says is no plan', error);
  }
}

function failed(finding: string, cause: unknown): DomainError {
  return new DomainError('BUILD_FAILED', `the image does not build: ${finding}`, {
    hint: 'Read what it says with "obiente logs <name> --build"; mend the source or nixpacks.toml, or add a Dockerfile.',
    cause,
  });
}

function below(folder: string): DomainError {
  const finding = `there is no application at its root, and one in ${JSON.stringify(folder.slice(0, 120))}`;
  return new DomainError('SOURCE_REFUSED', `the source cannot be built: ${finding}`, {
    hint: 'Deploy that folder; of a repository with --subdirectory.',
  });
}

async function removeAbandoned(): Promise<void> {
  const mine = process.getuid?.();
  for (const name of (await readdir(tmpdir())).filter((one) => one.startsWith(WORK_PREFIX))) {
    const path = join(tmpdir(), name);
    const found = await lstat(path).catch(() => undefined);
    if (!found?.isDirectory() || found.uid !== mine || Date.now() - found.mtimeMs < ABANDONED_AFTER_MS) continue;
    await rm(path, { recursive: true, force: true });
  }
}
