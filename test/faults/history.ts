import type { Client } from '@temporalio/client';
import proto from '@temporalio/proto';
import { eventually } from '../support/eventually.ts';

const { EventType } = proto.temporal.api.enums.v1;

/** An event of a workflow's history. */
export interface SeenEvent {
  readonly id: number;
  /** As Temporal calls it: `WORKFLOW_TASK_STARTED`. */
  readonly type: string;
}

/**
 * Follows the history of a workflow from its first event on, each event as soon as the server has it: the
 * server holds the call until there is one. Ends with the workflow; waits for one that does not exist yet.
 */
export async function* followHistory(
  client: Client,
  workflowId: string,
  signal: AbortSignal,
): AsyncGenerator<SeenEvent> {
  const { connection } = client;
  const execution = { workflowId };
  let nextPageToken: Uint8Array = new Uint8Array();
  for (let isFirst = true; isFirst || nextPageToken.length > 0; isFirst = false) {
    const read = () =>
      connection.withAbortSignal(signal, () =>
        client.workflowService.getWorkflowExecutionHistory({
          namespace: client.options.namespace,
          execution,
          nextPageToken,
          waitNewEvent: true,
        }),
      );
    // Nothing announces that a workflow begins.
    const page = await (isFirst ? eventually(read, { everyMs: 5 }) : read());
    for (const { eventId, eventType } of page.history?.events ?? []) {
      yield { id: Number(eventId), type: nameOf(eventType) };
    }
    nextPageToken = page.nextPageToken ?? new Uint8Array();
  }
}

/** Resolves when an event exists; `undefined` when the workflow ended or the signal came before it did. */
export async function untilEvent(
  client: Client,
  workflowId: string,
  { id, signal }: { readonly id: number; readonly signal: AbortSignal },
): Promise<SeenEvent | undefined> {
  try {
    for await (const event of followHistory(client, workflowId, signal)) if (event.id >= id) return event;
  } catch (error) {
    if (!signal.aborted) throw error;
  }
  return undefined;
}

/** Events that the server stores together: they appear at one moment. */
export interface Commit {
  readonly first: number;
  readonly last: number;
}

/** The types with which a new commit begins; all others come along with the one before. */
const BEGINS = new Set([
  'WORKFLOW_EXECUTION_STARTED',
  'WORKFLOW_EXECUTION_SIGNALED',
  'WORKFLOW_TASK_STARTED',
  'WORKFLOW_TASK_COMPLETED',
  'WORKFLOW_TASK_FAILED',
  'WORKFLOW_TASK_TIMED_OUT',
  'ACTIVITY_TASK_STARTED',
  'ACTIVITY_TASK_TIMED_OUT',
  'TIMER_FIRED',
]);

/** Reads the history of a workflow as it stands, in the parts in which it was stored. */
export async function readCommits(client: Client, workflowId: string): Promise<readonly Commit[]> {
  const { events } = await client.workflow.getHandle(workflowId).fetchHistory();
  const commits: Commit[] = [];
  for (const { eventId, eventType } of events ?? []) {
    const id = Number(eventId);
    const open = commits.at(-1);
    if (!open || BEGINS.has(nameOf(eventType))) commits.push({ first: id, last: id });
    else commits[commits.length - 1] = { ...open, last: id };
  }
  return commits;
}

/** Id of the newest event; 0 while there is no workflow. */
export async function lastEventId(client: Client, workflowId: string): Promise<number> {
  const description = await client.workflow
    .getHandle(workflowId)
    .describe()
    .catch(() => undefined);
  return description?.historyLength ?? 0;
}

function nameOf(eventType: number | null | undefined): string {
  return EventType[eventType ?? 0]?.replace('EVENT_TYPE_', '') ?? '';
}
