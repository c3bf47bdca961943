import { Client, Connection } from '@temporalio/client';
import { createDataConverter } from './data-converter.ts';

/** How to reach the Temporal server. */
export interface TemporalAddress {
  /** `host:port`. */
  readonly address: string;
  readonly namespace: string;
  /** 32 bytes; the same for every process of an installation. */
  readonly payloadKey: Uint8Array;
}

/** A client, and how to let go of it. */
export interface TemporalClient {
  readonly client: Client;
  close(): Promise<void>;
}

/** Creates a client that connects at its first call, so that a process starts while the server is away. */
export function createTemporalClient(to: TemporalAddress): TemporalClient {
  const connection = Connection.lazy({ address: to.address });
  const client = new Client({
    connection,
    namespace: to.namespace,
    dataConverter: createDataConverter({ payloadKey: to.payloadKey }),
  });
  return { client, close: () => connection.close() };
}
