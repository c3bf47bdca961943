/** Workflow type of one evaluation of all rules. */
export const EVALUATE_ALERTS_WORKFLOW = 'evaluateAlerts';

/** Id of the schedule, and of what it starts, to which the server adds the time. */
export const ALERTS_SCHEDULE = 'evaluate-alerts';

/** Time between the begins of two evaluations. */
export const EVALUATE_EVERY_MS = 30_000;

/** Workflow type of the delivery of one notification. */
export const DELIVER_WORKFLOW = 'deliverNotification';

/** Workflow id of the delivery of a notification: there is one, whoever asks for it and how often. */
export function deliverWorkflowId(notificationId: string): string {
  return `notification/${notificationId}`;
}

/** Durations of an evaluation, milliseconds: part of its input, so that tests give short ones to the real server. */
export interface AlertTiming {
  /** How long a look at the streamers or certificates may take, from the moment it is asked for. */
  readonly observeMs: number;
  /** How long the evaluation itself may take. */
  readonly evaluateMs: number;
}

/** Together less than the 30 s between two evaluations in health; a slow one only makes the next be skipped. */
export const DEFAULT_ALERT_TIMING: AlertTiming = { observeMs: 10_000, evaluateMs: 60_000 };

/** Input of the workflow that evaluates. */
export interface EvaluateInput {
  readonly timing: AlertTiming;
}

/** When a delivery is tried again, milliseconds: part of its input. */
export interface DeliveryTiming {
  readonly firstPauseMs: number;
  readonly longestPauseMs: number;
  /** After that it has failed for good. */
  readonly giveUpMs: number;
  /** How long one attempt may take; receivers are given 10 s of it. */
  readonly attemptMs: number;
}

/** A receiver that is away for a night still hears of it; each attempt ends within its connection's 10 s. */
export const DEFAULT_DELIVERY_TIMING: DeliveryTiming = {
  ...{ firstPauseMs: 5_000, longestPauseMs: 30 * 60_000, giveUpMs: 24 * 3_600_000, attemptMs: 30_000 },
};

/** Input of the workflow that delivers. It holds no secret, and nothing of what is told. */
export interface DeliverInput {
  readonly notificationId: string;
  readonly timing: DeliveryTiming;
}

/** Where the evaluation begins to read. */
export interface AlertCursor {
  readonly kind: 'deployments' | 'nodes';
  /** The id after which it goes on; empty for the first. */
  readonly afterId: string;
}

/** Where an evaluation begins. */
export const FIRST_SUBJECT: AlertCursor = { kind: 'deployments', afterId: '' };

/** Activities of an API process, on the queue `observers`. Each only overwrites what was observed before. */
export interface ObserverActivities {
  /** Asks all streamers how they are, and records it. */
  observeStreamers(): Promise<{ readonly asked: number; readonly silent: number }>;
  /** Looks at the certificates of some hostnames, those first that were not looked at for longest, and records it. */
  observeCertificates(): Promise<{ readonly looked: number }>;
}

/** Activities on the control queue. */
export interface AlertActivities {
  /**
   * Evaluates all rules, a page of subjects in a transaction. Safe to repeat, by several at once, and to be killed
   * anywhere: what an alert becomes follows from what is stored, under one lock, together with what is to be told.
   */
  evaluateAlerts(): Promise<{ readonly fired: number; readonly resolved: number }>;
  /** Sees to it that everything in the outbox has its workflow, and clears away what is old. */
  dispatchNotifications(): Promise<{ readonly dispatched: number }>;
}

/** Activities of a delivery, on the control queue. */
export interface DeliveryActivities {
  /**
   * Delivers a notification and records that. Delivered again only when it was killed between the two; the receiver can
   * tell by the id. What is not there any more, or has been delivered, is done.
   *
   * @throws DELIVERY_FAILED (worth a retry), DELIVERY_REFUSED (final).
   */
  deliver(input: { readonly notificationId: string }): Promise<void>;
  /** Records that it has failed for good. */
  giveUpDelivery(input: { readonly notificationId: string; readonly reason: string }): Promise<void>;
}
