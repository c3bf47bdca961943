import { Code, ConnectError, type Interceptor } from '@connectrpc/connect';
import type { Log } from '../../adapters/logging/log.ts';
import { callerKey } from '../auth/caller.ts';
import type { ApiTelemetry } from '../telemetry.ts';

/** What the request log needs. */
export interface RequestLogDeps {
  readonly log: Log;
  readonly telemetry: ApiTelemetry;
  /** Milliseconds of a clock that never goes back. */
  readonly elapsedMs: () => number;
}

/** Logs and counts every call once, when it ends: method, code, duration, user. Never anything of its content. */
export function createRequestLogInterceptor({ log, telemetry, elapsedMs }: RequestLogDeps): Interceptor {
  return (next) => async (request) => {
    const method = `${request.service.typeName}/${request.method.name}`;
    const startedAt = elapsedMs();
    const leave = telemetry.enter(request.method.methodKind === 'unary' ? 'unary' : 'stream');
    const finish = (error?: unknown): void => {
      leave();
      const code = error === undefined ? 'ok' : Code[ConnectError.from(error).code];
      const ms = Math.round(elapsedMs() - startedAt);
      telemetry.finished({ method, code, seconds: ms / 1000 });
      log.info({ method, code, ms, userId: request.contextValues.get(callerKey)?.userId }, 'rpc');
    };
    try {
      const response = await next(request);
      if (!response.stream) {
        finish();
        return response;
      }
      return { ...response, message: watched(response.message, finish) };
    } catch (error) {
      finish(error);
      throw error;
    }
  };
}

async function* watched<Message>(messages: AsyncIterable<Message>, finish: (error?: unknown) => void) {
  let failure: unknown;
  try {
    yield* messages;
  } catch (error) {
    failure = error;
    throw error;
  } finally {
    finish(failure);
  }
}
