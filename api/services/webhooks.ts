import { randomBytes, randomUUID } from 'node:crypto';
import type { MessageInitShape } from '@bufbuild/protobuf';
import { timestampFromDate } from '@bufbuild/protobuf/wkt';
import type { ServiceImpl } from '@connectrpc/connect';
import type { Database } from '../../adapters/postgres/database.ts';
import {
  type ChangedWebhook,
  createWebhook,
  deleteWebhook,
  findWebhook,
  rotateWebhook,
  type SealedWebhookSecret,
  type WebhookRecord,
} from '../../adapters/postgres/webhooks.ts';
import type { Sealing } from '../../adapters/sealing/sealing.ts';
import { notFound } from '../../domain/errors.ts';
import type { WebhookSchema, WebhooksService } from '../../gen/obiente/cloud/v1/webhooks_pb.ts';
import { getCallerOrganization } from '../auth/caller.ts';
import { WEBHOOKS_PATH } from '../http/webhooks.ts';
import { hashRequest } from '../request-identity.ts';
import { type DeploymentPlace, webhookSecretPlace } from '../secret-places.ts';

/** What the service of webhooks needs. */
export interface WebhooksDeps {
  readonly db: Database;
  readonly sealing: Sealing;
}

/** As many as HMAC-SHA-256 makes use of. */
const SECRET_BYTES = 32;

/** Creates the service of webhooks. A secret goes out with the answer that made it, and never again. */
export function createWebhooksService({ db, sealing }: WebhooksDeps): ServiceImpl<typeof WebhooksService> {
  const makeSecret = async (place: DeploymentPlace): Promise<SealedWebhookSecret> => {
    const value = randomBytes(SECRET_BYTES).toString('base64url');
    const secretId = randomUUID();
    return { secretId, sealedSecret: await sealing.seal({ ...webhookSecretPlace(place), version: secretId, value }) };
  };
  const answer = async (organizationId: string, { webhook, secret }: ChangedWebhook) => {
    if (secret === null) return { webhook: toWire(webhook), secret: '' };
    const { secretId: version, sealedSecret: sealed } = secret;
    const place = webhookSecretPlace({ organizationId, deploymentId: webhook.deploymentId });
    return { webhook: toWire(webhook), secret: await sealing.open({ ...place, version, sealed }) };
  };
  return {
    async createWebhook({ idempotencyKey, deploymentId: given }, context) {
      const organizationId = getCallerOrganization(context);
      const deploymentId = given.toLowerCase();
      const change = { organizationId, deploymentId, idempotencyKey };
      const requestHash = hashRequest('CreateWebhook', deploymentId);
      const secret = await makeSecret({ organizationId, deploymentId });
      return await answer(organizationId, await createWebhook(db, { ...change, requestHash, ...secret }));
    },
    async getWebhook({ deploymentId }) {
      const webhook = await findWebhook(db, deploymentId.toLowerCase());
      if (!webhook) throw notFound('webhook');
      return { webhook: toWire(webhook) };
    },
    async rotateWebhook({ idempotencyKey, deploymentId: given }, context) {
      const organizationId = getCallerOrganization(context);
      const deploymentId = given.toLowerCase();
      const change = { organizationId, deploymentId, idempotencyKey };
      const requestHash = hashRequest('RotateWebhook', deploymentId);
      const secret = await makeSecret({ organizationId, deploymentId });
      return await answer(organizationId, await rotateWebhook(db, { ...change, requestHash, ...secret }));
    },
    async deleteWebhook({ idempotencyKey, deploymentId: given }, context) {
      const organizationId = getCallerOrganization(context);
      const deploymentId = given.toLowerCase();
      const requestHash = hashRequest('DeleteWebhook', deploymentId);
      await deleteWebhook(db, { organizationId, deploymentId, idempotencyKey, requestHash });
      return {};
    },
  };
}

function toWire(webhook: WebhookRecord): MessageInitShape<typeof WebhookSchema> {
  const { id, deploymentId, lastDeliveryAt } = webhook;
  return {
    ...{ id, deploymentId, path: `${WEBHOOKS_PATH}${id}`, lastAnswer: webhook.lastAnswer ?? '' },
    createdAt: timestampFromDate(webhook.createdAt),
    rotatedAt: timestampFromDate(webhook.rotatedAt),
    ...(lastDeliveryAt ? { lastDeliveryAt: timestampFromDate(lastDeliveryAt) } : {}),
  };
}
