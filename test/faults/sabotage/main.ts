import { execFile, spawn } from 'node:child_process';
import { cp, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { cleaningUp } from '../../../bench/clean-up.ts';
import { MUTANTS, type Mutant } from './mutants.ts';

const ROOT = join(import.meta.dirname, '../../..');
const STATE_DIR = process.env.OBIENTE_STATE_DIR || join(ROOT, '.obiente');

/** What a run of a mutant's test showed. */
type Verdict = 'killed' | 'SURVIVED' | 'BROKEN';

/** With arguments only the mutants whose names have one of them. */
const wanted = process.argv.slice(2);
const mutants = MUTANTS.filter(({ name }) => wanted.length === 0 || wanted.some((word) => name.includes(word)));

process.exit(
  await cleaningUp(async (stack) => {
    const copy = await copyCheckout(stack);
    let missed = 0;
    for (const mutant of mutants) {
      const startedAt = performance.now();
      const verdict = await judge(copy, mutant);
      if (verdict !== 'killed') missed += 1;
      const seconds = ((performance.now() - startedAt) / 1000).toFixed(0).padStart(4);
      process.stdout.write(`${verdict.padEnd(8)} ${seconds} s  ${mutant.name}\n`);
    }
    process.stdout.write(`${mutants.length - missed} of ${mutants.length} mutants were noticed\n`);
    return missed === 0 && mutants.length > 0 ? 0 : 1;
  }),
);

/** Copies what git tracks or would track, and lends the copy the packages and the programs that were set up. */
async function copyCheckout(stack: AsyncDisposableStack): Promise<string> {
  const copy = await mkdtemp(join(tmpdir(), 'obiente-sabotage-'));
  stack.defer(() => rm(copy, { recursive: true, force: true }));
  const { stdout } = await promisify(execFile)('git', ['ls-files', '-co', '--exclude-standard', '-z'], { cwd: ROOT });
  for (const file of stdout.split('\0').filter((name) => name !== '')) {
    await mkdir(dirname(join(copy, file)), { recursive: true });
    await cp(join(ROOT, file), join(copy, file));
  }
  await symlink(join(ROOT, 'node_modules'), join(copy, 'node_modules'));
  await mkdir(join(copy, '.obiente'));
  await cp(join(STATE_DIR, 'toolchain.json'), join(copy, '.obiente/toolchain.json'));
  return copy;
}

/** A test that is red without the mutant as well says nothing. */
async function judge(copy: string, mutant: Mutant): Promise<Verdict> {
  const file = join(copy, mutant.file);
  const source = await readFile(file, 'utf8');
  if (source.split(mutant.text).length !== 2 || !(await isGreen(copy, mutant))) return 'BROKEN';
  await writeFile(
    file,
    source.replace(mutant.text, () => mutant.replacement),
  );
  try {
    const { failed, total } = await runTest(copy, mutant);
    if (total === 0) return 'BROKEN';
    return failed > 0 ? 'killed' : 'SURVIVED';
  } finally {
    await writeFile(file, source);
  }
}

async function isGreen(copy: string, mutant: Mutant): Promise<boolean> {
  const { failed, passed } = await runTest(copy, mutant);
  return failed === 0 && passed > 0;
}

async function runTest(
  copy: string,
  { test }: Mutant,
): Promise<{ readonly passed: number; readonly failed: number; readonly total: number }> {
  const report = join(copy, '.obiente/report.json');
  await rm(report, { force: true });
  const name = test.name === undefined ? [] : ['--testNamePattern', test.name.replace(/[^\w ]/g, '.')];
  const args = ['run', '--project', test.project, test.file, ...name, '--reporter=json', `--outputFile=${report}`];
  const child = spawn(join(ROOT, 'node_modules/.bin/vitest'), args, { cwd: copy, stdio: 'ignore' });
  await new Promise((resolve) => child.once('close', resolve));
  // Without a report the tests could not even be loaded.
  const text = await readFile(report, 'utf8').catch(() => '{}');
  const { numPassedTests = 0, numFailedTests = 0 } = JSON.parse(text) as Record<string, number>;
  return { passed: numPassedTests, failed: numFailedTests, total: numPassedTests + numFailedTests };
}
