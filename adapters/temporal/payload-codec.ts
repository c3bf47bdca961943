import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import type { Payload, PayloadCodec } from '@temporalio/common';
import proto from '@temporalio/proto';
import { DomainError } from '../../domain/errors.ts';

const ENCODING = 'binary/encrypted';
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const { Payload: PayloadMessage } = proto.temporal.api.common.v1;

/**
 * Encrypts every payload that reaches the Temporal server: inputs, results, heartbeats, and failure messages when the
 * failure converter puts them into payloads.
 *
 * AES-256-GCM with a random nonce per payload; stored are nonce ‖ ciphertext ‖ tag. A payload that was never encrypted
 * is passed through on the way in, so that a history from before the key existed can still be read.
 *
 * @param key 32 bytes.
 */
export function createPayloadCodec(key: Uint8Array): PayloadCodec {
  if (key.length !== 32) throw new DomainError('CONFIGURATION', `payload key has ${key.length} bytes; allowed is 32`);
  return {
    encode: async (payloads) => payloads.map((payload) => seal(key, payload)),
    decode: async (payloads) => payloads.map((payload) => open(key, payload)),
  };
}

function seal(key: Uint8Array, payload: Payload): Payload {
  const nonce = randomBytes(NONCE_BYTES);
  const cipher = createCipheriv('aes-256-gcm', key, nonce, { authTagLength: TAG_BYTES });
  const plain = PayloadMessage.encode(payload).finish();
  const data = Buffer.concat([nonce, cipher.update(plain), cipher.final(), cipher.getAuthTag()]);
  return { metadata: { encoding: Buffer.from(ENCODING) }, data };
}

function open(key: Uint8Array, payload: Payload): Payload {
  const encoding = payload.metadata?.encoding;
  if (!encoding || Buffer.from(encoding).toString() !== ENCODING) return payload;
  const data = Buffer.from(payload.data ?? []);
  const decipher = createDecipheriv('aes-256-gcm', key, data.subarray(0, NONCE_BYTES), { authTagLength: TAG_BYTES });
  decipher.setAuthTag(data.subarray(-TAG_BYTES));
  const plain = Buffer.concat([decipher.update(data.subarray(NONCE_BYTES, -TAG_BYTES)), decipher.final()]);
  return PayloadMessage.decode(plain);
}
