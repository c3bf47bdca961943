import { availableParallelism } from 'node:os';
import { parseArgs } from 'node:util';
import { cleaningUp } from '../../bench/clean-up.ts';
import { openBed } from './bed.ts';
import { chooseSeed } from './random.ts';
import { holds, toTable, writeReport } from './report.ts';
import { type RunOptions, runSweep } from './run-sweep.ts';
import type { Bed, PointOutcome, Sweep, SweepResult } from './sweep.ts';
import { SWEEPS } from './sweeps/all.ts';

/**
 * Platforms side by side: one more than cores, since a point waits for some of its time until somebody misses who was
 * killed. With more of them each recovery would only be slower. A platform takes about 1 GB; all share one Docker daemon.
 */
const LANES = Number(process.env.FAULT_LANES || Math.min(4, availableParallelism() + 1));

/** Further ones for what is run beside the others, since it mostly waits. */
const PATIENT_LANES = 1;

const { values, positionals: wanted } = parseArgs({
  allowPositionals: true,
  options: { points: { type: 'string' }, sampled: { type: 'boolean', default: false } },
});
const unknown = wanted.filter((name) => !SWEEPS.some((sweep) => sweep.name === name));
if (unknown.length > 0) {
  const known = SWEEPS.map(({ name, about }) => `${name.padEnd(24)} ${about}\n`).join('');
  process.stderr.write(`no sweep is called ${unknown.join(', ')}; there are:\n${known}`);
  process.exit(2);
}
process.exit(await runAll());

async function runAll(): Promise<number> {
  const seed = chooseSeed();
  process.stdout.write(`seed ${seed}: to replay, set FAULT_SEED=${seed}\n`);
  const only = values.points === undefined ? /./ : new RegExp(values.points);
  const chosen = SWEEPS.filter(({ name }) => wanted.length === 0 || wanted.includes(name));
  const timed = chosen.filter(({ isTimed }) => isTimed);
  const patient = chosen.filter(({ isPatient }) => isPatient);
  const inTurn = chosen.filter(({ isTimed, isPatient }) => !isTimed && !isPatient);
  const isBoth = patient.length > 0 && inTurn.length > 0;
  const results = new Map<string, SweepResult>();
  await cleaningUp(async (stack) => {
    const bed = await openBed(stack, { seed, lanes: isBoth ? LANES + PATIENT_LANES : LANES });
    const run = async (sweeps: readonly Sweep[], lanes: Bed['lanes']): Promise<void> => {
      for (const sweep of sweeps) {
        process.stdout.write(`\n${sweep.name}: ${sweep.about}\n`);
        const onPoint: RunOptions['onPoint'] = (point, ...how) => tell(`${sweep.name}: ${point}`, ...how);
        results.set(sweep.name, await runSweep(sweep, { ...bed, lanes }, { sampled: values.sampled, only, onPoint }));
      }
    };
    await run(timed, bed.lanes.slice(0, Math.min(LANES, availableParallelism())));
    await Promise.all([
      run(inTurn, bed.lanes.slice(0, LANES)),
      run(patient, isBoth ? bed.lanes.slice(LANES) : bed.lanes),
    ]);
  });
  const sweeps = chosen.flatMap(({ name }) => results.get(name) ?? []);
  const report = { seed, sweeps };
  await writeReport(report);
  process.stdout.write(`\n${toTable(report)}`);
  return sweeps.every(holds) ? 0 : 1;
}

function tell(point: string, { harmed, recoveryMs, failures, breaks }: PointOutcome, tookMs: number): void {
  const mark = failures.length + breaks.length > 0 ? '✗' : harmed ? '✓' : '–';
  const recovered = recoveryMs === null ? '' : `, recovered in ${(recoveryMs / 1000).toFixed(1)} s`;
  process.stdout.write(`${mark} ${(tookMs / 1000).toFixed(1).padStart(5)} s  ${point}${recovered}\n`);
  for (const problem of [...failures, ...breaks]) process.stdout.write(`    ${problem}\n`);
}
