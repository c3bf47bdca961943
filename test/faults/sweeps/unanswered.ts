import pLimit from 'p-limit';
import type { FaultRule } from '../fault-rules.ts';
import type { Lane } from '../lane.ts';
import { removeSubject } from '../life.ts';
import { type Accepted, expectAfter, makesRevision } from '../model.ts';
import { OPERATION_NAMES, type OperationName } from '../operations.ts';
import { aSubject, perform, type Subject } from '../subject.ts';
import type { Point, PointOutcome, Sweep } from '../sweep.ts';
import { untilAsWanted } from '../wanted-state.ts';

/** Everything that changes what runs. */
const CHANGES = /^POST [^?]*\/containers\/(create|\w+\/(start|stop))|^DELETE [^?]*\/containers\//;

/** Some deployments that go through every operation while answers of the daemon are swallowed. */
interface Batch {
  readonly name: string;
  readonly subjects: number;
  /** How many of them at a time: few where they mostly work, since other sweeps want the processor meanwhile. */
  readonly atATime: number;
  readonly operations: readonly OperationName[];
  readonly rule: Pick<FaultRule, 'calls' | 'probability' | 'oncePerCall'>;
}

/** Lives of eight operations each: together more than 500 operations. */
const BATCHES: readonly Batch[] = [
  aBatch('1 %', { subjects: 40, atATime: 2 }, { probability: 0.01 }),
  aBatch('10 %', { subjects: 20, atATime: 4 }, { probability: 0.1 }),
  aBatch('each call once', { subjects: 4, atATime: 4 }, { oncePerCall: true }),
];

/** A swallowed answer costs the node's whole patience, so a sample is the start of one deployment. */
const SMALL_BATCHES: readonly Batch[] = ['create', 'start'].map((call) => ({
  ...aBatch(`each ${call} once`, { subjects: 1, atATime: 1 }, { oncePerCall: true }),
  operations: ['create'],
  rule: { calls: new RegExp(`^POST [^?]*/containers/.*${call}`), oncePerCall: true },
}));

function aBatch(
  name: string,
  size: Pick<Batch, 'subjects' | 'atATime'>,
  rule: Pick<FaultRule, 'probability' | 'oncePerCall'>,
): Batch {
  return { name, ...size, operations: OPERATION_NAMES, rule: { calls: CHANGES, ...rule } };
}

/** Lets the daemon carry out what the node asks for, and swallows the answer. */
export const sweep: Sweep = {
  name: 'unanswered',
  about: 'Docker carries calls out and never says so, at 1 %, 10 % and each once; every operation ends as it should',
  sampled: 1,
  atATime: 1,
  isPatient: true,
  points: async (_bed, { sampled }) =>
    (sampled ? SMALL_BATCHES : BATCHES).map(
      (batch): Point => ({
        name: batch.name,
        run: (lane) => runBatch(lane, batch),
      }),
    ),
};

async function runBatch(lane: Lane, { subjects: count, atATime, operations, rule }: Batch): Promise<PointOutcome> {
  const { docker } = lane.platform.ways;
  const before = docker.hits.length;
  const subjects = Array.from({ length: count }, () => aSubject(lane));
  const takeAway = docker.add({ ...rule, fault: { kind: 'swallow' } });
  const limit = pLimit(atATime);
  let lives: readonly Life[];
  try {
    lives = await Promise.all(subjects.map((subject) => limit(() => live(lane, { subject, operations }))));
  } finally {
    takeAway();
  }
  const harmed = docker.hits.length > before;
  for (const subject of subjects) await removeSubject(lane, subject);
  return {
    harmed,
    recoveryMs: Math.max(...lives.map(({ slowestMs }) => slowestMs)),
    operations: count * operations.length,
    failures: lives.flatMap(({ failures }) => failures),
    breaks: [],
  };
}

/** What came of one deployment. */
interface Life {
  readonly failures: readonly string[];
  /** Its slowest operation. */
  readonly slowestMs: number;
}

async function live(
  lane: Lane,
  { subject, operations }: { subject: Subject; operations: readonly OperationName[] },
): Promise<Life> {
  const failures: string[] = [];
  const done: Accepted[] = [];
  let slowestMs = 0;
  for (const [index, operation] of operations.entries()) {
    const startedAt = performance.now();
    const { state, said } = await perform(lane, subject, { operation, version: index + 1 });
    slowestMs = Math.max(slowestMs, performance.now() - startedAt);
    done.push({ operation, version: index + 1 });
    const { wanted } = expectAfter(subject, done);
    const differences = await untilAsWanted(lane, subject, { wanted, revision: done.filter(makesRevision).length });
    const found = [...(state === 'succeeded' ? [] : [`it ${state}: ${said}`]), ...differences];
    failures.push(...found.map((finding) => `${operation} of ${subject.name}: ${finding}`));
  }
  return { failures, slowestMs };
}
