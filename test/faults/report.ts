import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import Table from 'cli-table3';
import type { SweepResult } from './sweep.ts';

/** What came of a run of sweeps. */
export interface FaultReport {
  readonly seed: string;
  readonly sweeps: readonly SweepResult[];
}

/** Where reports go, and what helps to understand them: histories that do not replay, logs of lanes that broke. */
export const REPORTS_DIR = join(
  process.env.OBIENTE_STATE_DIR || join(import.meta.dirname, '../../.obiente'),
  'reports',
);

/** Whether everything converged, every invariant held, and enough was done to say so. */
export function holds({ points, converged, invariantBreaks, failures }: SweepResult): boolean {
  return points === converged && invariantBreaks === 0 && failures.length === 0;
}

/** Writes the report for programs. */
export async function writeReport(report: FaultReport): Promise<void> {
  const file = join(REPORTS_DIR, 'faults.json');
  await mkdir(dirname(file), { recursive: true });
  await writeFile(file, `${JSON.stringify(report, null, 2)}\n`);
}

/** The report for people: a line per sweep, and below it all that went wrong. */
export function toTable({ sweeps }: FaultReport): string {
  const table = new Table({
    head: ['sweep', 'points', 'harmed', 'converged', 'breaks', 'recovery p50', 'p99', ''],
    style: { head: [], border: [] },
  });
  for (const sweep of sweeps) {
    const { name, points, harmed, converged, invariantBreaks, recoveryMs } = sweep;
    const recovery = [toSeconds(recoveryMs.p50), toSeconds(recoveryMs.p99)];
    table.push([name, points, harmed, converged, invariantBreaks, ...recovery, holds(sweep) ? 'holds' : 'BROKEN']);
  }
  const failures = sweeps.flatMap(({ name, failures }) => failures.map((failure) => `${name}: ${failure}`));
  return [table.toString(), ...failures, ''].join('\n');
}

function toSeconds(ms: number | null): string {
  return ms === null ? '' : `${(ms / 1000).toFixed(1)} s`;
}
