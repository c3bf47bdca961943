import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import type { DataConverter } from '@temporalio/common';
import { DomainError } from '../../domain/errors.ts';
import { createPayloadCodec } from './payload-codec.ts';

/** Where the failure converter is: clients, workers and the workflow bundle load it by path. */
export const FAILURE_CONVERTER_PATH = fileURLToPath(new URL('./failure-converter.ts', import.meta.url));

/** What every client and worker must be given, so that nothing reaches the Temporal server in the clear. */
export function createDataConverter(options: { payloadKey: Uint8Array }): DataConverter {
  return { payloadCodecs: [createPayloadCodec(options.payloadKey)], failureConverterPath: FAILURE_CONVERTER_PATH };
}

/** Reads a key of 32 bytes, base64, from a file. @throws CONFIGURATION */
export async function readPayloadKey(file: string): Promise<Uint8Array> {
  const text = await readFile(file, 'utf8').catch((cause: unknown) => {
    throw new DomainError('CONFIGURATION', `PAYLOAD_KEY_FILE: cannot read ${file}`, { cause });
  });
  const key = Buffer.from(text.trim(), 'base64');
  if (key.length === 32) return key;
  throw new DomainError(
    'CONFIGURATION',
    `PAYLOAD_KEY_FILE: ${file} holds ${key.length} bytes; allowed is 32 in base64`,
  );
}
