import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { ConnectError } from '@connectrpc/connect';
import { createWakeUp } from '../../activities/wake-up.ts';
import { deriveId } from '../../api/request-identity.ts';
import { isInterruption } from '../../cli/retry.ts';
import { isDomainError } from '../../domain/errors.ts';
import { isOpen } from '../../domain/operation.ts';
import { ErrorDetailSchema } from '../../gen/obiente/cloud/v1/resources_pb.ts';
import type { Lane } from './lane.ts';
import { OPERATIONS, type OperationName } from './operations.ts';

/** One deployment that operations are tried on. */
export interface Subject {
  /** Known before it exists, since it follows from the key of its creation. */
  readonly id: string;
  readonly name: string;
  readonly createKey: string;
  readonly organizationId: string;
  readonly projectId: string;
  readonly image: string;
  readonly replicas: number;
  /** Value of one of its variables, which must be seen nowhere. */
  readonly canary: string;
}

/** An operation that was asked for. */
export interface Asked {
  readonly operation: OperationName;
  readonly operationId: string;
  readonly key: string;
  readonly version: number;
  /** The answer, once an attempt got one. */
  readonly answer: readonly string[];
}

/** Two replicas: enough for "the first alone, then the rest", and for one to be left while the other is harmed. */
const REPLICAS = 2;

/** How long a client goes on asking: a bound that only a hang reaches. */
const PATIENCE_MS = 180_000;

/** Pause before a request is repeated that got no answer; the client itself has made some attempts by then. */
const ASK_AGAIN_MS = 200;

/** A change may be missed while the database is away. */
const LOOK_AGAIN_MS = 2_000;

/** Invents a deployment that does not exist yet. */
export function aSubject({ organizationId, projectId, image, canary }: Lane, replicas: number = REPLICAS): Subject {
  const createKey = randomUUID();
  const id = deriveId(organizationId, createKey, 'deployment');
  return { id, name: `app-${id.slice(0, 8)}`, createKey, organizationId, projectId, image, replicas, canary };
}

/** The key of a new request for an operation: that of a creation makes the deployment's id. */
export function keyFor(operation: OperationName, subject: Subject): string {
  return operation === 'create' ? subject.createKey : randomUUID();
}

/** Id of the operation that a key stands for. */
export function operationIdOf({ organizationId }: Subject, key: string): string {
  return deriveId(organizationId, key, 'operation');
}

/**
 * Asks for an operation as a client does that repeats what was not answered, with the same key each time.
 *
 * @throws what it was refused with
 */
export async function ask(
  { platform: { api } }: Lane,
  subject: Subject,
  of: { operation: OperationName; version: number; key?: string },
): Promise<Asked> {
  const { operation, version, key = keyFor(operation, subject) } = of;
  const deadline = performance.now() + PATIENCE_MS;
  for (;;) {
    try {
      const answer = await OPERATIONS[operation].ask({ api, subject, key, version });
      return { operation, version, key, operationId: operationIdOf(subject, key), answer };
    } catch (error) {
      if (!isInterruption(error) || performance.now() > deadline) throw error;
    }
    await delay(ASK_AGAIN_MS);
  }
}

/** Whether a request was refused because its deployment is gone, or is not there yet. */
export function isGone(error: unknown): boolean {
  const code = codeOf(error);
  return code === 'NOT_FOUND' || code === 'DEPLOYMENT_DELETED';
}

/** The platform's own code of an error of the API; empty for everything else. */
export function codeOf(error: unknown): string {
  if (!(error instanceof ConnectError)) return '';
  const [detail] = error.findDetails(ErrorDetailSchema);
  return detail?.code ?? '';
}

/** How an operation ended; code and what was said are empty unless it failed. */
export interface OperationEnd {
  readonly state: string;
  readonly code: string;
  readonly said: string;
}

/** Waits until an operation has ended, however it did: looks at its row whenever the database tells of a change. */
export async function untilEnded(
  { platform: { db, changes } }: Lane,
  { id }: Subject,
  operationId: string,
): Promise<OperationEnd> {
  const changed = createWakeUp();
  const unsubscribe = changes.subscribe({ deploymentId: id }, changed.ring);
  const overdue = AbortSignal.timeout(PATIENCE_MS);
  try {
    for (;;) {
      const row = await db
        .selectFrom('operations')
        .select(['state', 'error_code as code', 'error_message as said'])
        .where('id', '=', operationId)
        .executeTakeFirst()
        .catch(whileAway);
      if (row && !isOpen(row.state)) return { state: row.state, code: row.code ?? '', said: row.said ?? '' };
      if (overdue.aborted) throw new Error(`operation ${operationId} is ${row?.state ?? 'not stored'} for too long`);
      await changed.wait(LOOK_AGAIN_MS, overdue).catch(() => undefined);
    }
  } finally {
    unsubscribe();
  }
}

/** The database may be what is harmed. */
function whileAway(error: unknown): undefined {
  if (!isDomainError(error) || error.code !== 'DATABASE_UNAVAILABLE') throw error;
}

/** Asks for an operation and waits for its end. */
export async function perform(
  lane: Lane,
  subject: Subject,
  of: { operation: OperationName; version: number },
): Promise<Asked & OperationEnd> {
  const asked = await ask(lane, subject, of);
  return { ...asked, ...(await untilEnded(lane, subject, asked.operationId)) };
}
