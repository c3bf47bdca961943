import { Code, ConnectError } from '@connectrpc/connect';
import { ErrorDetailSchema } from '../../gen/obiente/cloud/v1/resources_pb.ts';

/** What a caller is told when a call is refused. */
export interface Refusal {
  readonly code: string;
  readonly message: string;
  /** Of the typed detail; empty without one. */
  readonly error: string;
  readonly field: string;
}

/** Waits for a call to be refused. @throws when it is not */
export async function refusalOf(call: Promise<unknown> | AsyncIterable<unknown>): Promise<Refusal> {
  try {
    if (call instanceof Promise) await call;
    else for await (const _ of call);
  } catch (error) {
    if (!(error instanceof ConnectError)) throw error;
    const [detail] = error.findDetails(ErrorDetailSchema);
    const { code = '', field = '' } = detail ?? {};
    return { code: Code[error.code] ?? '', message: error.rawMessage, error: code, field };
  }
  throw new Error('the call was not refused');
}
