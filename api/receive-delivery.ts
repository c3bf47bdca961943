import { createHash } from 'node:crypto';
import type { Database } from '../adapters/postgres/database.ts';
import { type DeliveredTo, findDeliveredTo, recordDelivery } from '../adapters/postgres/webhooks.ts';
import type { Sealing } from '../adapters/sealing/sealing.ts';
import type { WorkflowGateway } from '../adapters/temporal/workflow-gateway.ts';
import { readDelivery, type WebhookDelivery } from '../adapters/webhooks/read-delivery.ts';
import { notFound } from '../domain/errors.ts';
import { type GitRules, parseGitUrl } from '../domain/git-source.ts';
import { decideOnEvent, gitSourceOf } from '../domain/webhook-decision.ts';
import { deriveId, hashRequest } from './request-identity.ts';
import { webhookSecretPlace } from './secret-places.ts';
import { findRepeated } from './submit-operation.ts';

/** What receiving a delivery needs. */
export interface DeliveryDeps {
  readonly db: Database;
  readonly sealing: Sealing;
  readonly git: GitRules;
  readonly workflows: Pick<WorkflowGateway, 'submit' | 'tellStored'>;
}

/** A request as it came in; its body is read only for webhooks that there are. */
export interface IncomingDelivery extends Pick<WebhookDelivery, 'headers'> {
  readBody(): Promise<Buffer>;
}

/** What became of a delivery. */
export type DeliveryReceipt =
  | { readonly status: 'accepted'; readonly operationId: string; readonly reason: string }
  | { readonly status: 'ignored'; readonly reason: string };

/**
 * Takes a delivery of a Git server, and answers once what it asks for is stored.
 *
 * The operation looks the branch up again, so the body decides only whether there is one. Which delivery it was is part of
 * the operation's idempotency key: sent again, it finds the operation of the first time, for as long as that is known.
 *
 * @throws NOT_FOUND, UNAUTHENTICATED, INVALID_ARGUMENT, PAYLOAD_TOO_LARGE, DATABASE_UNAVAILABLE.
 */
export async function receiveDelivery(
  deps: DeliveryDeps,
  webhookId: string,
  { headers, readBody }: IncomingDelivery,
): Promise<DeliveryReceipt> {
  const { db, sealing, git } = deps;
  const to = await findDeliveredTo(db, webhookId);
  if (!to) throw notFound('webhook');
  const body = await readBody();
  const { sealedSecret: sealed, secretId: version, spec } = to;
  const secret = await sealing.open({ ...webhookSecretPlace(to), version, sealed });
  const event = readDelivery({ headers, body, secret });
  const source = gitSourceOf(spec);
  const repository = source && parseGitUrl('url', source.url, git);
  const decision = decideOnEvent(event, source, repository);
  const receipt =
    decision.kind === 'nothing'
      ? ({ status: 'ignored', reason: decision.reason } as const)
      : await deploy(deps, to, { deliveryId: event.deliveryId, reason: decision.reason });
  await recordDelivery(db, webhookId, receipt.reason);
  return receipt;
}

async function deploy(
  deps: DeliveryDeps,
  { id: actorUserId, organizationId, projectId, deploymentId }: DeliveredTo,
  { deliveryId, reason }: { readonly deliveryId: string; readonly reason: string },
): Promise<DeliveryReceipt> {
  const delivery = createHash('sha256').update(deliveryId).digest('hex').slice(0, 32);
  const idempotencyKey = `webhook:${deploymentId}:${delivery}`;
  const requestHash = hashRequest('Webhook', deploymentId, deliveryId);
  const repeated = await findRepeated(deps, { organizationId, idempotencyKey, requestHash });
  if (repeated) return { status: 'accepted', operationId: repeated.id, reason: repeated.reason };
  const operationId = deriveId(organizationId, idempotencyKey, 'operation');
  const identity = { operationId, idempotencyKey, requestHash, actorUserId, reason, supersedeRunning: false };
  const change = { service: null, replace: {}, setVariables: [], unsetVariables: [] };
  const request = { kind: 'update', ...identity, change, freshSource: true } as const;
  await deps.workflows.submit({ deploymentId, organizationId, projectId, request });
  return { status: 'accepted', operationId, reason };
}
