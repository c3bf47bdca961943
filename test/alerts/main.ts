import { parseArgs } from 'node:util';
import { cleaningUp } from '../../bench/clean-up.ts';
import { type AlertBed, openAlertBed } from './bed.ts';
import type { Fault, Stage } from './fault.ts';
import { certificateExpiry } from './faults/certificate-expiry.ts';
import { cpu } from './faults/cpu.ts';
import { crashLoop } from './faults/crash-loop.ts';
import { dockerHalted } from './faults/docker-halted.ts';
import { errorRate } from './faults/error-rate.ts';
import { memory } from './faults/memory.ts';
import { nodeDisk } from './faults/node-disk.ts';
import { flood, nodeHalted } from './faults/node-halted.ts';
import { replicaDown } from './faults/replica-down.ts';
import { rowsDropped, rowsWait } from './faults/rows-wait.ts';
import { streamerHalted } from './faults/streamer-halted.ts';
import { beQuiet } from './quiet.ts';
import { type AlertsReport, holds, toTable, writeReport } from './report.ts';
import { type FaultResult, startFault } from './run-fault.ts';

/** In the order in which they are told of. */
const FAULTS: readonly Fault[] = [
  ...[rowsDropped, crashLoop, streamerHalted, dockerHalted, rowsWait],
  ...[cpu, memory, replicaDown, certificateExpiry, errorRate, nodeDisk, nodeHalted, flood],
];

const QUIET = 'quiet';

const UNFINISHED = 'the run came to no end';

const { positionals: wanted } = parseArgs({ allowPositionals: true });
const unknown = wanted.filter((name) => name !== QUIET && !FAULTS.some((fault) => matches(fault, name)));
if (unknown.length > 0) {
  const known = FAULTS.map(({ name, rules, about }) => `${name.padEnd(18)} ${about} (${rules.join(', ')})\n`).join('');
  process.stderr.write(`no fault or rule is called ${unknown.join(', ')}; there are quiet, the rules, and:\n${known}`);
  process.exit(2);
}
process.exit(await runAll());

/** A fault is found by its own name and by those of its rules. */
function matches({ name, rules }: Fault, word: string): boolean {
  return name === word || rules.some((rule) => rule === word);
}

async function runAll(): Promise<number> {
  const faults: FaultResult[] = [];
  let report: AlertsReport = { faults, quiet: null, breaks: [UNFINISHED] };
  try {
    await cleaningUp(async (stack) => {
      const bed = await openAlertBed(stack);
      const selected = FAULTS.filter((fault) => wanted.length === 0 || wanted.some((word) => matches(fault, word)));
      await runFaults(selected, { bed, stack, faults });
      const quiet = wanted.length === 0 || wanted.includes(QUIET) ? await beQuiet(bed, stack) : null;
      report = { faults, quiet, breaks: await unexplained(bed, faults) };
    });
  } finally {
    await writeReport(report);
  }
  process.stdout.write(`\n${toTable(report)}`);
  return holds(report) ? 0 : 1;
}

/** Stage by stage. */
async function runFaults(
  selected: readonly Fault[],
  {
    faults,
    ...world
  }: { readonly bed: AlertBed; readonly stack: AsyncDisposableStack; readonly faults: FaultResult[] },
): Promise<void> {
  const run = { ...world, tell };
  const start = (fault: Fault) => {
    const { healed, result } = startFault(fault, run);
    const noted = result.then(async (found) => {
      faults.push(found);
      tell(`${found.name}: ${found.breaks.length === 0 ? 'holds' : `BROKEN: ${found.breaks.join('; ')}`}`);
      // Whoever interrupts the run has what it found until then.
      await writeReport({ faults, quiet: null, breaks: [UNFINISHED] });
    });
    return { healed, noted };
  };
  const of = (stage: Stage): Fault[] => selected.filter((fault) => fault.stage === stage);
  const inTurn = async (stage: Stage): Promise<void> => {
    for (const fault of of(stage)) await start(fault).noted;
  };
  const slow: Promise<void>[] = [];
  for (const fault of of('slow')) {
    const { healed, noted } = start(fault);
    slow.push(noted);
    await healed;
  }
  await inTurn('alone');
  await Promise.all(of('streamer').map((fault) => start(fault).noted));
  const applications = of('application').map(start);
  await Promise.all(applications.map(({ healed }) => healed));
  await inTurn('node');
  await Promise.all([...applications.map(({ noted }) => noted), ...slow]);
}

/** What fired and was told beside all faults, and what went wrong on the way, in words. */
async function unexplained({ db, receiver, api }: AlertBed, faults: readonly FaultResult[]): Promise<string[]> {
  const alerts = await db
    .selectFrom('alerts')
    .select(['id', 'rule', 'subject'])
    .where('fired_at', 'is not', null)
    .execute();
  const [alertIds, messageIds] = [
    new Set(faults.flatMap((fault) => fault.alertIds)),
    new Set(faults.flatMap((fault) => fault.messageIds)),
  ];
  const { organizations } = await api.organizations.listOrganizations({});
  const { targets } = await api.alerts.listNotificationTargets({ organizationId: organizations[0]?.id ?? '' });
  return [
    ...alerts
      .filter(({ id }) => !alertIds.has(id))
      .map(({ rule, subject }) => `${rule} of ${subject} fired, and no fault explains it`),
    ...receiver.told
      .filter(({ id }) => !messageIds.has(id))
      .map(({ event, rule, atMs }) => `${event} of ${rule} was told at ${new Date(atMs).toISOString()}, of no fault`),
    ...(receiver.refused() > 0 ? [`${receiver.refused()} messages had a wrong signature`] : []),
    ...targets
      .filter(({ failed, waiting }) => failed + waiting > 0)
      .map(({ failed, waiting }) => `${failed} messages were not delivered, ${waiting} are on their way`),
  ];
}

function tell(line: string): void {
  process.stdout.write(`${new Date().toISOString().slice(11, 19)} ${line}\n`);
}
