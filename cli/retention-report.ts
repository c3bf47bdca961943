import { timestampDate } from '@bufbuild/protobuf/wkt';
import {
  type GetRetentionRunResponse,
  type RetentionItem,
  RetentionItemSchema,
  type RetentionOrphan,
  RetentionOrphanSchema,
  type RetentionRun,
  RetentionRunSchema,
  RetentionState,
} from '../gen/obiente/cloud/v1/retention_pb.ts';
import { plainText } from './plain-text.ts';
import { showBytes, showSpan } from './quantities.ts';
import { age, messageJson, paintState } from './show.ts';
import { type Column, table } from './table.ts';
import type { Terminal } from './terminal.ts';

/** What was looked at of one kind at one place. */
interface Line {
  readonly kind: string;
  readonly nodeId: string;
  readonly removed: bigint;
  readonly bytes: bigint | undefined;
  readonly stays: readonly RetentionItem[];
}

/** A run and its report, in the names and forms that `curl` gets from the API. */
export function reportJson({ run, items, orphans }: GetRetentionRunResponse): unknown {
  if (run === undefined) return null;
  const lines = items.map((item) => messageJson(RetentionItemSchema, item));
  const single = orphans.map((orphan) => messageJson(RetentionOrphanSchema, orphan));
  return { ...(messageJson(RetentionRunSchema, run) as object), items: lines, orphans: single };
}

/** The report of a run: what went, what it freed, and what stays for which reason. */
export function showReport(terminal: Terminal, { run, items, orphans }: GetRetentionRunResponse): void {
  const isDryRun = run?.dryRun === true;
  const lines = toLines(items);
  const columns: readonly Column<Line>[] = [
    { heading: 'WHAT', cell: ({ kind }) => kind },
    { heading: 'NODE', cell: ({ nodeId }) => nodeId || '-' },
    { heading: isDryRun ? 'WOULD GO' : 'REMOVED', cell: ({ removed }) => String(removed), isNumber: true },
    { heading: isDryRun ? 'WOULD FREE' : 'FREED', cell: freed, isNumber: true },
    { heading: 'STAYS', cell: ({ stays }) => stays.map(({ count, reason }) => `${count} ${reason}`).join('; ') || '-' },
  ];
  if (lines.length > 0) terminal.line(table(terminal, columns, lines));
  if (orphans.length > 0) terminal.line(`\n${table(terminal, ORPHANS, orphans)}\n`);
  if (run !== undefined) terminal.line(conclusion(run, lines));
}

const ORPHANS: readonly Column<RetentionOrphan>[] = [
  { heading: 'ORPHAN', cell: ({ kind }) => kind },
  { heading: 'NODE', cell: ({ nodeId }) => nodeId },
  { heading: 'ID', cell: ({ id }) => id.slice(0, 12) },
  { heading: 'NAME', cell: ({ name }) => plainText(name) },
  { heading: 'OUTCOME', cell: ({ outcome, reason }) => (reason === '' ? outcome : `${outcome}: ${reason}`) },
];

function conclusion({ state, dryRun, errorMessage }: RetentionRun, lines: readonly Line[]): string {
  if (state === RetentionState.RUNNING) return 'still running';
  const bytes = lines.reduce((sum, line) => sum + (line.bytes ?? 0n), 0n);
  const isUnknown = lines.some((line) => line.removed > 0n && line.bytes === undefined);
  const sum = `${isUnknown ? 'at least ' : ''}${showBytes(bytes)}`;
  const done = dryRun ? `a run would free ${sum}` : `freed ${sum}`;
  return state === RetentionState.FAILED ? `${done}, but not all was done: ${errorMessage}` : done;
}

function freed({ removed, bytes }: Line): string {
  if (bytes !== undefined) return showBytes(bytes);
  return removed > 0n ? 'unknown' : '-';
}

function toLines(items: readonly RetentionItem[]): Line[] {
  const groups = Map.groupBy(items, ({ kind, nodeId }) => `${nodeId} ${kind}`);
  return [...groups.values()].flatMap((group) => {
    const [first] = group;
    if (first === undefined) return [];
    const gone = group.find(({ reason }) => reason === '');
    const stays = group.filter(({ reason }) => reason !== '');
    return [{ kind: first.kind, nodeId: first.nodeId, removed: gone?.count ?? 0n, bytes: gone?.bytes, stays }];
  });
}

/** The runs that are kept, newest first. */
export function showRuns(terminal: Terminal, runs: readonly RetentionRun[]): void {
  const columns: readonly Column<RetentionRun>[] = [
    { heading: 'RUN', cell: ({ id }) => id },
    { heading: 'KIND', cell: ({ dryRun }) => (dryRun ? 'dry run' : 'run') },
    { heading: 'OF', cell: ({ nodeId }) => nodeId || 'all' },
    { heading: 'STATE', cell: stateOf, paint: (text) => paintState(terminal, text) },
    { heading: 'AGO', cell: ({ startedAt }) => age(startedAt), isNumber: true },
    { heading: 'TOOK', cell: took, isNumber: true },
    {
      heading: 'ASKED BY',
      cell: ({ actorUserId, nodeId }) => actorUserId || (nodeId === '' ? 'schedule' : 'disk guard'),
    },
  ];
  terminal.line(table(terminal, columns, runs));
}

function stateOf({ state }: RetentionRun): string {
  if (state === RetentionState.RUNNING) return 'running';
  return state === RetentionState.SUCCEEDED ? 'succeeded' : 'failed';
}

function took({ startedAt, finishedAt }: RetentionRun): string {
  if (startedAt === undefined || finishedAt === undefined) return '-';
  return showSpan(timestampDate(finishedAt).getTime() - timestampDate(startedAt).getTime());
}
