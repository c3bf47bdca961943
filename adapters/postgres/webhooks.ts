import { randomUUID } from 'node:crypto';
import { notFound } from '../../domain/errors.ts';
import type { DeploymentSpec } from '../../domain/spec.ts';
import type { Database } from './database.ts';
import { toStorableText } from './events.ts';
import { claimMutation, type Mutation } from './mutation-keys.ts';

/** A webhook, without its secret. */
export interface WebhookRecord {
  readonly id: string;
  readonly deploymentId: string;
  readonly createdAt: Date;
  readonly rotatedAt: Date;
  readonly lastDeliveryAt: Date | null;
  readonly lastAnswer: string | null;
}

/** A secret as it is stored: sealed with its id as the version. */
export interface SealedWebhookSecret {
  readonly secretId: string;
  readonly sealedSecret: string;
}

/** A webhook, and its secret where this very request has set it. */
export interface ChangedWebhook {
  readonly webhook: WebhookRecord;
  readonly secret: SealedWebhookSecret | null;
}

/** What a change of a webhook is about. */
export interface WebhookChange extends Mutation {
  readonly organizationId: string;
  readonly deploymentId: string;
}

const COLUMNS = [
  'webhooks.id',
  'webhooks.deployment_id as deploymentId',
  'webhooks.created_at as createdAt',
  'webhooks.rotated_at as rotatedAt',
  'webhooks.last_delivery_at as lastDeliveryAt',
  'webhooks.last_answer as lastAnswer',
] as const;

/** Makes sure that a deployment has a webhook; the secret counts only when it has none. @throws IDEMPOTENCY_CONFLICT */
export async function createWebhook(
  db: Database,
  { organizationId, deploymentId, secretId, sealedSecret, ...mutation }: WebhookChange & SealedWebhookSecret,
): Promise<ChangedWebhook> {
  return await db.transaction().execute(async (tx) => {
    const claim = { ...mutation, scope: organizationId, resourceId: secretId };
    const { resourceId: id, isFirst } = await claimMutation(tx, claim);
    if (isFirst) {
      await tx
        .insertInto('webhooks')
        .values({ id, secret_id: id, deployment_id: deploymentId, sealed_secret: sealedSecret })
        .onConflict((conflict) => conflict.column('deployment_id').doNothing())
        .execute();
    }
    return await findChanged(tx, deploymentId, id);
  });
}

/** Gives a webhook another secret. @throws NOT_FOUND, IDEMPOTENCY_CONFLICT */
export async function rotateWebhook(
  db: Database,
  { organizationId, deploymentId, secretId: proposed, sealedSecret, ...mutation }: WebhookChange & SealedWebhookSecret,
): Promise<ChangedWebhook> {
  return await db.transaction().execute(async (tx) => {
    const claim = { ...mutation, scope: organizationId, resourceId: proposed };
    const { resourceId: secretId, isFirst } = await claimMutation(tx, claim);
    if (isFirst) {
      await tx
        .updateTable('webhooks')
        .set({ secret_id: secretId, sealed_secret: sealedSecret })
        .set((eb) => ({ rotated_at: eb.fn<Date>('now') }))
        .where('deployment_id', '=', deploymentId)
        .execute();
    }
    return await findChanged(tx, deploymentId, secretId);
  });
}

async function findChanged(db: Database, deploymentId: string, secretId: string): Promise<ChangedWebhook> {
  const found = await db
    .selectFrom('webhooks')
    .select([...COLUMNS, 'sealed_secret as sealedSecret', 'secret_id as secretId'])
    .where('deployment_id', '=', deploymentId)
    .executeTakeFirst();
  if (!found) throw notFound('webhook');
  const { sealedSecret, secretId: present, ...webhook } = found;
  return { webhook, secret: present === secretId ? { secretId, sealedSecret } : null };
}

/** Finds the webhook of a deployment. */
export async function findWebhook(db: Database, deploymentId: string): Promise<WebhookRecord | undefined> {
  const webhooks = db.selectFrom('webhooks').select(COLUMNS);
  return await webhooks.where('deployment_id', '=', deploymentId).executeTakeFirst();
}

/** Removes the webhook of a deployment. A repeated call finds it removed and succeeds. @throws NOT_FOUND */
export async function deleteWebhook(
  db: Database,
  { organizationId, deploymentId, ...mutation }: WebhookChange,
): Promise<void> {
  await db.transaction().execute(async (tx) => {
    const claim = { ...mutation, scope: organizationId, resourceId: randomUUID() };
    if (!(await claimMutation(tx, claim)).isFirst) return;
    const deleted = await tx
      .deleteFrom('webhooks')
      .where('deployment_id', '=', deploymentId)
      .returning('id')
      .executeTakeFirst();
    if (!deleted) throw notFound('webhook');
  });
}

/** A webhook with what a delivery is held against. */
export interface DeliveredTo extends SealedWebhookSecret {
  readonly id: string;
  readonly deploymentId: string;
  readonly organizationId: string;
  readonly projectId: string;
  /** What the newest revision wants. */
  readonly spec: DeploymentSpec;
}

/** Finds what a delivery is for, by the id in its address. */
export async function findDeliveredTo(db: Database, id: string): Promise<DeliveredTo | undefined> {
  return await db
    .selectFrom('webhooks')
    .innerJoin('deployments', 'deployments.id', 'webhooks.deployment_id')
    .innerJoin('revisions', (join) =>
      join
        .onRef('revisions.deployment_id', '=', 'deployments.id')
        .onRef('revisions.number', '=', 'deployments.revision'),
    )
    .select([
      'webhooks.id',
      'secret_id as secretId',
      'sealed_secret as sealedSecret',
      'webhooks.deployment_id as deploymentId',
      'revisions.spec',
    ])
    .select(['deployments.organization_id as organizationId', 'deployments.project_id as projectId'])
    .where('webhooks.id', '=', id)
    .where('deployments.deleting', '=', false)
    .executeTakeFirst();
}

/** Longest answer that the table takes. */
const MAX_ANSWER_LENGTH = 500;

/** Remembers what became of the last genuine delivery. */
export async function recordDelivery(db: Database, id: string, answer: string): Promise<void> {
  await db
    .updateTable('webhooks')
    .set((eb) => ({ last_delivery_at: eb.fn<Date>('now') }))
    .set({ last_answer: toStorableText(answer, MAX_ANSWER_LENGTH) })
    .where('id', '=', id)
    .execute();
}
