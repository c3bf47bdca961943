import { mkdir, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import Table from 'cli-table3';
import { holds } from './run-sweep.ts';
import type { SweepResult } from './sweep.ts';

/** What came of a run of sweeps. */
export interface FaultReport {
  readonly seed: string;
  readonly sweeps: readonly SweepResult[];
}

/** Writes the report for programs. */
export async function writeReport(file: string, report: FaultReport): Promise<void> {
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
