import { setTimeout as delay } from 'node:timers/promises';
import type { Lane } from '../lane.ts';
import { removeSubject } from '../life.ts';
import { expectAfter, makesRevision } from '../model.ts';
import type { OperationName } from '../operations.ts';
import type { Random } from '../random.ts';
import { aSubject, ask, codeOf, isGone, keyFor, operationIdOf, type Subject, untilEnded } from '../subject.ts';
import type { Point, PointOutcome, Sweep } from '../sweep.ts';
import { untilAsWanted } from '../wanted-state.ts';

/** As many as the matrix asks for. */
const SEQUENCES = 200;

/** Requests of one sequence after its creation. */
const FEWEST = 2;
const MOST = 5;

/** A sequence lasts about as long as two rollouts. */
const LONGEST_GAP_MS = 800;

/** Callers that ask for the same thing with the same key at the same time, at most. */
const MOST_COPIES = 3;

/** What may be asked of a deployment that exists, each as often as it stands here. */
const LATER: readonly OperationName[] = [
  ...(['update', 'update', 'update', 'scale', 'scale', 'rollback'] as const),
  ...(['restart', 'stop', 'start', 'delete'] as const),
];

/** One request of a sequence. */
interface Step {
  readonly operation: OperationName;
  readonly version: number;
  /** How long after the one before, whether that was answered or not. */
  readonly gapMs: number;
  readonly copies: number;
}

/** Asks for conflicting operations on one deployment at seeded times, and holds the end against the reference model. */
export const sweep: Sweep = {
  name: 'interleavings',
  about: 'conflicting and repeated requests at seeded times; the last accepted wins, and a delete leaves nothing',
  sampled: 4,
  atATime: 2,
  points: async ({ random }) =>
    Array.from({ length: SEQUENCES }, (_, index): Point => {
      const steps = drawSteps(random.fork(`sequence ${index}`));
      const name = `${index}: ${steps.map(({ operation, gapMs, copies }) => `${operation}×${copies}+${gapMs}`).join(' ')}`;
      return { name, run: (lane) => runSteps(lane, steps) };
    }),
};

function drawSteps(random: Random): Step[] {
  const later = Array.from({ length: FEWEST + random.integer(MOST - FEWEST + 1) }, () => random.pick(LATER));
  const operations: OperationName[] = ['create', ...later];
  return operations.map((operation, index) => ({
    operation,
    version: index + 1,
    gapMs: index === 0 ? 0 : random.integer(LONGEST_GAP_MS),
    copies: 1 + random.integer(MOST_COPIES),
  }));
}

/** A request of a sequence, and what became of it. */
interface Request extends Step {
  readonly key: string;
  readonly operationId: string;
  readonly isAnswered: Promise<boolean>;
}

async function runSteps(lane: Lane, steps: readonly Step[]): Promise<PointOutcome> {
  const subject = aSubject(lane);
  const requests: Request[] = [];
  for (const step of steps) {
    await delay(step.gapMs);
    requests.push(askTogether(lane, subject, step));
  }
  const answers = await Promise.all(requests.map(({ isAnswered }) => isAnswered));
  const startedAt = performance.now();
  const accepted = await untilAllEnded(lane, subject, requests);
  const recoveryMs = performance.now() - startedAt;

  const { wanted, endings } = expectAfter(subject, accepted);
  const lost = requests.filter(
    (request, index) => answers[index] && !accepted.some(({ id }) => id === request.operationId),
  );
  const failures = [
    ...lost.map(({ operation }) => `an answered ${operation} is not stored`),
    ...accepted.flatMap(({ operation, ending, said }, index) =>
      endings[index]?.test(ending)
        ? []
        : [`${operation}, operation ${index + 1}, is "${ending}" (${said ?? ''}), not ${endings[index]}`],
    ),
    ...(await untilAsWanted(lane, subject, { wanted, revision: accepted.filter(makesRevision).length })),
  ];
  await removeSubject(lane, subject);
  return { harmed: accepted.length > 1, recoveryMs, operations: accepted.length, failures, breaks: [] };
}

/**
 * Several callers ask for the same at once; answered when one of them is. One may be refused although it was accepted:
 * when the deployment was deleted before its answer was read. A rollback is refused while nothing has come up yet.
 */
function askTogether(lane: Lane, subject: Subject, step: Step): Request {
  const key = keyFor(step.operation, subject);
  const attempts = Array.from({ length: step.copies }, () =>
    ask(lane, subject, { operation: step.operation, version: step.version, key }).then(
      () => true,
      (error: unknown) => {
        if (!isGone(error) && codeOf(error) !== 'NOT_DEPLOYED') throw error;
        return false;
      },
    ),
  );
  const isAnswered = Promise.all(attempts).then((answered) => answered.includes(true));
  // Looked at once all have been asked.
  isAnswered.catch(() => undefined);
  return { ...step, key, operationId: operationIdOf(subject, key), isAnswered };
}

/** Waits until everything that was accepted has ended. @returns it in the order in which it was accepted. */
async function untilAllEnded(lane: Lane, subject: Subject, requests: readonly Request[]) {
  const read = () =>
    lane.platform.db
      .selectFrom('operations')
      .select(['id', 'state', 'error_code', 'error_message'])
      .where('deployment_id', '=', subject.id)
      .orderBy('sequence')
      .execute();
  await Promise.all((await read()).map(({ id }) => untilEnded(lane, subject, id)));
  return (await read()).map(({ id, state, error_code, error_message: said }) => {
    const request = requests.find(({ operationId }) => operationId === id);
    if (!request) throw new Error(`operation ${id} was asked for by nobody`);
    const { operation, version } = request;
    return { id, operation, version, ending: [state, error_code ?? ''].join(' ').trim(), said };
  });
}
