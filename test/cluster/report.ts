import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import Table from 'cli-table3';
import { REPORTS_DIR } from '../faults/report.ts';
import type { ExperimentOutcome } from './experiment.ts';
import type { Figure } from './figures.ts';

/** An experiment that was run. */
export interface ExperimentResult extends ExperimentOutcome {
  readonly name: string;
}

/** Whether every goal was met and every invariant held. */
export function holds({ figures, breaks }: ExperimentResult): boolean {
  return breaks.length === 0 && figures.every((figure) => figure.holds);
}

/** Writes the report for programs. */
export async function writeReport(results: readonly ExperimentResult[]): Promise<void> {
  const experiments = results.map(({ name, runs, figures, breaks }) => {
    return { name, runs, figures, invariantBreaks: breaks.length, breaks };
  });
  await mkdir(REPORTS_DIR, { recursive: true });
  await writeFile(join(REPORTS_DIR, 'cluster.json'), `${JSON.stringify({ experiments }, null, 2)}\n`);
}

/** The report for people: a line per figure, and below them all that went wrong. */
export function toTable(results: readonly ExperimentResult[]): string {
  const table = new Table({
    head: ['experiment', 'runs', 'figure', 'value', 'goal', ''],
    style: { head: [], border: [] },
  });
  for (const { name, runs, figures } of results) {
    for (const figure of figures) {
      table.push([name, runs, figure.name, toText(figure), figure.goal ?? '', verdict(figure)]);
    }
  }
  const broken = results.flatMap(({ name, breaks }) => breaks.map((text) => `${name}: ${text}`));
  return [table.toString(), ...broken, ''].join('\n');
}

function toText({ value, unit }: Figure): string {
  return `${Number.isInteger(value) ? value : value.toFixed(2)} ${unit}`;
}

function verdict({ goal, holds }: Figure): string {
  if (goal === null) return '';
  return holds ? 'holds' : 'MISSED';
}
