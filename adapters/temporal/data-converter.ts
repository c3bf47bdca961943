import { fileURLToPath } from 'node:url';
import type { DataConverter } from '@temporalio/common';
import type { Keyring } from '../sealing/keyring.ts';
import { createPayloadCodec } from './payload-codec.ts';

/** Where the failure converter is: clients, workers and the workflow bundle load it by path. */
export const FAILURE_CONVERTER_PATH = fileURLToPath(new URL('./failure-converter.ts', import.meta.url));

/** What every client and worker must be given, so that nothing reaches the Temporal server in the clear. */
export function createDataConverter(options: { payloadKeys: Keyring }): DataConverter {
  return { payloadCodecs: [createPayloadCodec(options.payloadKeys)], failureConverterPath: FAILURE_CONVERTER_PATH };
}
