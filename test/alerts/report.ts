import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import Table from 'cli-table3';
import { REPORTS_DIR } from '../faults/report.ts';
import type { QuietResult } from './quiet.ts';
import type { FaultResult } from './run-fault.ts';

/** What came of a run. */
export interface AlertsReport {
  readonly faults: readonly FaultResult[];
  readonly quiet: QuietResult | null;
  /** What nobody can explain: alerts and messages of no fault, and messages that were refused or are still on their way. */
  readonly breaks: readonly string[];
}

/** Whether each alert did what it had to, and no other one anything. */
export function holds({ faults, quiet, breaks }: AlertsReport): boolean {
  return breaks.length === 0 && [...faults, ...(quiet ? [quiet] : [])].every((one) => one.breaks.length === 0);
}

/** Writes the report for programs. */
export async function writeReport(report: AlertsReport): Promise<void> {
  await mkdir(REPORTS_DIR, { recursive: true });
  await writeFile(
    join(REPORTS_DIR, 'alerts.json'),
    `${JSON.stringify({ holds: holds(report), ...report }, null, 2)}\n`,
  );
}

/** The report for people: a line per fault and rule, and below them all that went wrong. */
export function toTable({ faults, quiet, breaks }: AlertsReport): string {
  const table = new Table({
    head: ['fault', 'rule', 'of', 'fired', 'told', 'after', 'over', 'after', ''],
    style: { head: [], border: [] },
  });
  for (const { name, outcomes, breaks: broken } of faults) {
    const verdict = broken.length === 0 ? 'holds' : 'BROKEN';
    if (outcomes.length === 0) table.push([name, '', '', '', '', '', '', '', verdict]);
    for (const { rule, subjects, fired, toldFired, toldResolved, toldAfterMs, resolvedAfterMs } of outcomes) {
      const told = [toldFired, toSeconds(toldAfterMs), toldResolved, toSeconds(resolvedAfterMs)];
      table.push([name, rule, subjects, fired, ...told, verdict]);
    }
  }
  const broken = [...faults.flatMap(({ name, breaks: all }) => all.map((text) => `${name}: ${text}`)), ...breaks];
  return [table.toString(), ...(quiet ? [describeQuiet(quiet), ...quiet.breaks] : []), ...broken, ''].join('\n');
}

function describeQuiet({
  minutes,
  evaluations,
  operations,
  requests,
  fired,
  told,
  failedRequests,
}: QuietResult): string {
  const done = `${evaluations} evaluations in ${minutes.toFixed(1)} min, ${operations} operations, ${requests} requests`;
  return `quiet: ${done} of which ${failedRequests} failed: ${fired} alerts, ${told} messages`;
}

function toSeconds(ms: number | null): string {
  return ms === null ? '' : `${(ms / 1_000).toFixed(1)} s`;
}
