import { parseArgs } from 'node:util';
import { cleaningUp } from '../../bench/clean-up.ts';
import { openBed } from './bed.ts';
import { chooseSeed } from './random.ts';
import { holds, toTable, writeReport } from './report.ts';
import { runSweep } from './run-sweep.ts';
import type { PointOutcome, SweepResult } from './sweep.ts';
import { SWEEPS } from './sweeps/all.ts';

/** Platforms side by side. A point waits for time-outs most of its time; each platform takes about 1 GB of memory. */
const LANES = Number(process.env.FAULT_LANES || 3);

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
  const sweeps: SweepResult[] = [];
  await cleaningUp(async (stack) => {
    const bed = await openBed(stack, { seed, lanes: LANES });
    for (const sweep of SWEEPS) {
      if (wanted.length > 0 && !wanted.includes(sweep.name)) continue;
      process.stdout.write(`\n${sweep.name}: ${sweep.about}\n`);
      sweeps.push(await runSweep(sweep, bed, { sampled: values.sampled, only, onPoint: tell }));
    }
  });
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
