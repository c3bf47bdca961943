import { Writable } from 'node:stream';
import { Code, ConnectError, createClient, createRouterTransport } from '@connectrpc/connect';
import { pino } from 'pino';
import { describe, expect, it } from 'vitest';
import { DomainError, type ErrorCode, RETRYABLE } from '../../domain/errors.ts';
import { DeploymentsService } from '../../gen/obiente/cloud/v1/deployments_pb.ts';
import { ErrorDetailSchema } from '../../gen/obiente/cloud/v1/resources_pb.ts';
import { createApiTelemetry } from '../telemetry.ts';
import { CONNECT_CODE, createErrorInterceptor } from './errors.ts';
import { createRequestLogInterceptor } from './request-log.ts';

const CANARY = 'canary-91c2';

/** Calls a unary and a streaming method that fail with this error, behind the outer interceptors. */
function failingWith(error: unknown) {
  const lines: string[] = [];
  const sink = new Writable({
    write: (chunk, _encoding, done) => {
      lines.push(String(chunk));
      done();
    },
  });
  const log = pino({ level: 'info' }, sink);
  const telemetry = createApiTelemetry();
  const outer = [createRequestLogInterceptor({ log, telemetry, elapsedMs: () => 0 }), createErrorInterceptor(log)];
  const transport = createRouterTransport((router) => {
    const service = {
      getDeployment: () => Promise.reject(error),
      watchDeployment: async function* () {
        yield { sequence: 1n };
        throw error;
      },
    };
    router.service(DeploymentsService, service, { interceptors: outer });
  });
  const client = createClient(DeploymentsService, transport);
  const unary = () => client.getDeployment({ deploymentId: CANARY });
  const stream = async () => {
    for await (const _ of client.watchDeployment({ deploymentId: CANARY }));
  };
  return { calls: [unary, stream], lines, telemetry };
}

async function refused(call: () => Promise<unknown>): Promise<ConnectError> {
  const error = await call().then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (error instanceof ConnectError) return error;
  throw new Error('the call was not refused');
}

const VISIBLE = (Object.keys(RETRYABLE) as ErrorCode[]).filter((code) => CONNECT_CODE[code] !== Code.Internal);

describe('errors on the wire', () => {
  it.each(VISIBLE)('carry code, field and hint, from calls and streams: %s', async (code) => {
    const { calls } = failingWith(new DomainError(code, 'what was found', { field: 'spec.port', hint: 'Do this.' }));
    for (const call of calls) {
      const error = await refused(call);
      expect({ code: error.code, message: error.rawMessage }).toEqual({
        code: CONNECT_CODE[code],
        message: 'what was found',
      });
      expect(error.findDetails(ErrorDetailSchema)).toMatchObject([
        { code, field: 'spec.port', hint: 'Do this.', incidentId: '' },
      ]);
    }
  });

  it('can be tried again, by their code, exactly when trying again may help', () => {
    const retried = VISIBLE.filter((code) => CONNECT_CODE[code] === Code.Unavailable);
    expect(retried).toEqual(VISIBLE.filter((code) => RETRYABLE[code]));
  });

  it.each([
    ['an unknown error', new Error(`relation "users" at /srv/app/db.ts ${CANARY}`)],
    ['a thrown string', CANARY],
    ['an internal error of this platform', new DomainError('INTERNAL', CANARY)],
    ['a configuration error', new DomainError('CONFIGURATION', CANARY)],
  ])('tell nothing of %s but the id under which the log has it', async (_, thrown) => {
    const { calls, lines } = failingWith(thrown);
    for (const call of calls) {
      const error = await refused(call);
      expect(`${error.message} ${JSON.stringify(error.details)}`).not.toContain(CANARY);
      const [detail] = error.findDetails(ErrorDetailSchema);
      expect(detail).toMatchObject({ code: 'INTERNAL', incidentId: expect.stringMatching(/^[0-9a-f-]{36}$/) });
      expect(lines.some((line) => line.includes(detail?.incidentId ?? '-') && line.includes(CANARY))).toBe(true);
    }
  });

  it('are logged and counted by method and code, never with anything of the request', async () => {
    const { calls, lines, telemetry } = failingWith(new DomainError('NOT_FOUND', 'deployment not found'));
    for (const call of calls) await refused(call);
    expect(lines.map((line) => JSON.parse(line))).toMatchObject([
      { method: 'obiente.cloud.v1.DeploymentsService/GetDeployment', code: 'NotFound', msg: 'rpc' },
      { method: 'obiente.cloud.v1.DeploymentsService/WatchDeployment', code: 'NotFound', msg: 'rpc' },
    ]);
    expect(lines.join('')).not.toContain(CANARY);
    const text = await telemetry.render();
    expect(text).toContain(
      'obiente_rpc_total{method="obiente.cloud.v1.DeploymentsService/GetDeployment",code="NotFound"} 1',
    );
    expect(text).toContain('obiente_rpc_active{kind="stream"} 0');
  });
});
