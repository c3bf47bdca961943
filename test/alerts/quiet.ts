import { randomUUID } from 'node:crypto';
import { ALERTS_SCHEDULE, EVALUATE_EVERY_MS } from '../../contracts/alerts.ts';
import { aWebServer } from '../integration/deployed.ts';
import { startProber } from '../support/prober.ts';
import { type AlertBed, deploySubject } from './bed.ts';
import { countEvaluations, toTold, untilEvaluated } from './run-fault.ts';

/** What came of a time in which nothing is wrong. */
export interface QuietResult {
  readonly minutes: number;
  readonly evaluations: number;
  readonly operations: number;
  readonly requests: number;
  readonly failedRequests: number;
  /** Alerts that fired, and messages that came. */
  readonly fired: number;
  readonly told: number;
  readonly breaks: readonly string[];
}

/** Between two evaluations, in place of 30 s. */
const SCALED_EVERY_MS = 1_000;

/** An hour has so many. */
const EVALUATIONS = 3_600_000 / EVALUATE_EVERY_MS;

/** A machine that is busy with other things makes them take longer than they come. */
const PATIENCE_MS = 900_000;

/** Has the schedule evaluate so often. */
async function evaluateEvery({ temporal }: AlertBed, everyMs: number): Promise<void> {
  const handle = temporal.schedule.getHandle(ALERTS_SCHEDULE);
  await handle.update(({ spec: _, ...schedule }) => ({ ...schedule, spec: { intervals: [{ every: everyMs }] } }));
}

/** Evaluates as often as in an hour, while applications are asked and changed as people do, and nothing is wrong. */
export async function beQuiet(bed: AlertBed, stack: AsyncDisposableStack): Promise<QuietResult> {
  const subject = await deploySubject(bed, aWebServer(bed.image, 'one'));
  const prober = startProber({ port: bed.httpPort, host: `${subject.name}.localhost`, perSecond: 10 });
  stack.defer(async () => void (await prober.stop()));
  const begun = new Date();
  await evaluateEvery(bed, SCALED_EVERY_MS);
  try {
    const evaluated = untilEvaluated(bed.temporal, EVALUATIONS, PATIENCE_MS);
    let isOver = false;
    const ended = evaluated.finally(() => {
      isOver = true;
    });
    ended.catch(() => undefined);
    let operations = 0;
    for (const change of changesOf(bed, subject.id)) {
      if (isOver) break;
      const { operation } = await change();
      const { errorMessage } = await subject.outcome(operation?.id);
      if (errorMessage !== '') throw new Error(`an operation failed: ${errorMessage}`);
      operations += 1;
    }
    await ended;
    const evaluations = await countEvaluations(bed.temporal, begun);
    const minutes = (Date.now() - begun.getTime()) / 60_000;
    const rows = await bed.db.selectFrom('alerts').select(['rule', 'subject']).where('fired_at', '>=', begun).execute();
    const told = toTold(bed.receiver.told).filter(({ atMs }) => atMs >= begun.getTime());
    const { total, failed } = await prober.stop();
    await subject.remove();
    return {
      ...{ minutes, evaluations, operations, requests: total, failedRequests: failed.length },
      ...{ fired: rows.length, told: told.length },
      breaks: [
        ...rows.map(({ rule, subject: of }) => `${rule} of ${of} fired in a quiet time`),
        ...told.map(({ rule, event }) => `${event} of ${rule} was told in a quiet time`),
        ...(failed.length > 0 ? [`${failed.length} requests failed`] : []),
      ],
    };
  } finally {
    await evaluateEvery(bed, EVALUATE_EVERY_MS);
  }
}

/** What people do to an application on a day, one after the other. */
function* changesOf({ api, image }: AlertBed, deploymentId: string) {
  const asked = () => ({ idempotencyKey: randomUUID(), deploymentId });
  const { deployments } = api;
  for (let day = 1; ; day += 1) {
    yield async () => {
      const spec = aWebServer(image, `${day}`, { replicas: 1 });
      const { deployment } = await deployments.updateDeployment({ ...asked(), spec });
      return { operation: deployment?.operation };
    };
    yield () => deployments.scaleDeployment({ ...asked(), replicas: 2 });
    yield () => deployments.restartDeployment(asked());
    yield () => deployments.scaleDeployment({ ...asked(), replicas: 1 });
  }
}
