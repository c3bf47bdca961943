import { Client, Connection } from '@temporalio/client';
import type { Keyring } from '../sealing/keyring.ts';
import { createDataConverter } from './data-converter.ts';

/** How to reach the Temporal server. */
export interface TemporalAddress {
  /** `host:port`. */
  readonly address: string;
  readonly namespace: string;
  /** Every process of an installation can decrypt what any other one encrypts. */
  readonly payloadKeys: Keyring;
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
    dataConverter: createDataConverter({ payloadKeys: to.payloadKeys }),
  });
  return { client, close: () => connection.close() };
}
