import { heartbeat } from '@temporalio/activity';
import { type AlertActivities, type AlertCursor, FIRST_SUBJECT } from '../contracts/alerts.ts';

/** What was measured of a deployment. What is left out, or `null`, was not measured of late. */
export interface MeasuredUsage {
  /** Of the replica that uses most, in percent of what it may use. */
  readonly cpuPercent?: number | null;
  readonly memoryPercent?: number | null;
  /** Of its requests in the last five minutes, those answered with 5xx, percent; `null` where too few were asked. */
  readonly serverErrorPercent?: number | null;
}

/** The metrics of deployments, as far as alerts look at them. */
export interface UsageReadings {
  /** What was measured of each; those of which nothing is known are left out. @throws what keeps it from reading. */
  read(deploymentIds: readonly string[]): Promise<ReadonlyMap<string, MeasuredUsage>>;
}

/** Counts of an evaluation. */
export interface Counts {
  readonly fired: number;
  readonly resolved: number;
}

/** The alerts of the control database. */
export interface Alerts {
  listSubjects(cursor: AlertCursor): Promise<{
    readonly kind: AlertCursor['kind'];
    readonly ids: readonly string[];
    readonly next: AlertCursor | null;
  }>;
  /** `usage` is `null` when nobody looked at it: alerts on it stay as they are. */
  evaluateDeployments(ids: readonly string[], usage: ReadonlyMap<string, MeasuredUsage> | null): Promise<Counts>;
  evaluateNodes(ids: readonly string[]): Promise<Counts>;
  clearOld(): Promise<void>;
}

/** The outbox of notifications, and who delivers what is in it. */
export interface Outbox {
  /** Ids of what waits and has no workflow that is known of; a bounded number, oldest first. */
  listUndispatched(): Promise<readonly string[]>;
  /** Starts a workflow for a notification; one that is there already will do. */
  start(notificationId: string): Promise<void>;
  markDispatched(ids: readonly string[]): Promise<void>;
}

/** What the evaluation needs. */
export interface EvaluateAlertsDeps {
  readonly alerts: Alerts;
  readonly usage: UsageReadings;
  readonly outbox: Outbox;
  /** Told of metrics that cannot be read: alerts that look at them have no data then. */
  readonly onNoUsage: (error: unknown) => void;
  /** Told of what was counted. */
  readonly onEvaluated?: (counts: Counts) => void;
}

/** Creates the activities that evaluate alerts and hand out what is to be told of them. */
export function createEvaluateAlerts({ alerts, usage, outbox, ...told }: EvaluateAlertsDeps): AlertActivities {
  const measured = async (ids: readonly string[]): Promise<ReadonlyMap<string, MeasuredUsage>> => {
    try {
      return await usage.read(ids);
    } catch (error) {
      // The other rules are evaluated all the same; these have no data, which is not good news.
      told.onNoUsage(error);
      return new Map();
    }
  };
  const evaluateDeployments = async (ids: readonly string[]): Promise<Counts> =>
    await alerts.evaluateDeployments(ids, await measured(ids));
  return {
    evaluateAlerts: async () => {
      let [fired, resolved] = [0, 0];
      for (let cursor: AlertCursor | null = FIRST_SUBJECT; cursor; ) {
        heartbeat();
        const page = await alerts.listSubjects(cursor);
        const evaluate = page.kind === 'nodes' ? alerts.evaluateNodes : evaluateDeployments;
        const counts = await evaluate(page.ids);
        [fired, resolved] = [fired + counts.fired, resolved + counts.resolved];
        cursor = page.next;
      }
      await alerts.clearOld();
      told.onEvaluated?.({ fired, resolved });
      return { fired, resolved };
    },
    dispatchNotifications: async () => {
      const ids = await outbox.listUndispatched();
      // One that was started and not marked is started again, and found to be there.
      for (const id of ids) await outbox.start(id);
      await outbox.markDispatched(ids);
      return { dispatched: ids.length };
    },
  };
}
