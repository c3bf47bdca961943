import { randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Log } from '../../adapters/logging/log.ts';
import { MAX_WEBHOOK_BYTES } from '../../adapters/webhooks/read-delivery.ts';
import { type DomainError, type ErrorCode, isDomainError, RETRYABLE } from '../../domain/errors.ts';
import { type DeliveryDeps, receiveDelivery } from '../receive-delivery.ts';
import { readBody } from './read-body.ts';
import { endJson, type HttpRoute } from './route.ts';

/** Where webhooks are delivered; the id follows. */
export const WEBHOOKS_PATH = '/webhooks/';

const ID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** Deliveries that are read at a time: with a MiB each, what a small process has to spare. Others are sent again. */
const MAX_AT_A_TIME = 32;

/** Servers send a payload at once; one that trickles in only takes a place. */
const BODY_TIMEOUT_MS = 10_000;

const RETRY_AFTER_S = '10';

const STATUS: Partial<Record<ErrorCode, number>> = {
  UNAUTHENTICATED: 401,
  INVALID_ARGUMENT: 400,
  NOT_FOUND: 404,
  DEPLOYMENT_DELETED: 404,
  IDEMPOTENCY_CONFLICT: 409,
  PAYLOAD_TOO_LARGE: 413,
};

/** What the route needs. */
export interface WebhookRouteDeps extends DeliveryDeps {
  readonly log: Log;
}

/**
 * `POST /webhooks/<id>`: a delivery of a Git server.
 *
 * 202 once the operation is stored, also when it was by an earlier attempt of the delivery; 200 with the reason when there
 * is nothing to do; 400, 401, 404 and 413 for what no repetition mends; 429 and 503 with `Retry-After`. No answer says
 * more of a deployment than its webhook's sender knows.
 */
export function createWebhookRoute(deps: WebhookRouteDeps): HttpRoute {
  let underWay = 0;
  const answer = async (request: IncomingMessage, response: ServerResponse, id: string): Promise<void> => {
    try {
      const receipt = await receiveDelivery(deps, id, {
        headers: request.headers,
        readBody: () => readBody(request, { maxBytes: MAX_WEBHOOK_BYTES, timeoutMs: BODY_TIMEOUT_MS }),
      });
      endJson(response, receipt.status === 'accepted' ? 202 : 200, receipt);
    } catch (error) {
      refuse(deps.log, response, error);
    }
  };
  return {
    method: 'POST',
    path: WEBHOOKS_PATH,
    isPrefix: true,
    handler: async (request, response) => {
      // A body that nobody reads is not worth keeping the connection for.
      response.shouldKeepAlive = false;
      const id = (request.url ?? '').split('?', 1)[0]?.slice(WEBHOOKS_PATH.length) ?? '';
      if (!ID.test(id)) return endJson(response, 404, { code: 'NOT_FOUND', message: 'webhook not found' });
      if (underWay >= MAX_AT_A_TIME) {
        response.setHeader('retry-after', RETRY_AFTER_S);
        return endJson(response, 429, { code: 'BUSY', message: 'too many deliveries at a time' });
      }
      underWay += 1;
      try {
        await answer(request, response, id);
      } finally {
        underWay -= 1;
      }
    },
  };
}

function refuse(log: Log, response: ServerResponse, error: unknown): void {
  const known = isDomainError(error) ? statusOf(error) : undefined;
  if (isDomainError(error) && known !== undefined) {
    if (known === 503) response.setHeader('retry-after', RETRY_AFTER_S);
    const { code, message, hint = '' } = error;
    endJson(response, known, { code, message, hint });
    return;
  }
  const incidentId = randomUUID();
  log.error({ err: error, incidentId }, 'a webhook failed');
  endJson(response, 500, { code: 'INTERNAL', message: 'internal error', incidentId });
}

function statusOf({ code }: DomainError): number | undefined {
  if (code === 'INTERNAL') return undefined;
  return STATUS[code] ?? (RETRYABLE[code] ? 503 : undefined);
}
