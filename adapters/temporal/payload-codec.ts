import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import type { Payload, PayloadCodec } from '@temporalio/common';
import proto from '@temporalio/proto';
import { DomainError } from '../../domain/errors.ts';
import type { Keyring, NamedKey } from '../sealing/keyring.ts';

const ENCODING = 'binary/encrypted';
/** Metadata that names the key; payloads of the first version have none. */
const KEY_ID = 'encryption-key-id';
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const { Payload: PayloadMessage } = proto.temporal.api.common.v1;

/**
 * Encrypts every payload that reaches the Temporal server: inputs, results, heartbeats, and failure messages when the
 * failure converter puts them into payloads.
 *
 * AES-256-GCM with a random nonce per payload; stored are nonce ‖ ciphertext ‖ tag, and the name of the key. The present
 * key encrypts, and every key of the ring decrypts, so histories from before a rotation go on. A payload that was never
 * encrypted is passed through on the way in, so that a history from before the key existed can still be read.
 */
export function createPayloadCodec(keys: Keyring): PayloadCodec {
  return {
    encode: async (payloads) => payloads.map((payload) => seal(keys.present, payload)),
    decode: async (payloads) => payloads.map((payload) => open(keys, payload)),
  };
}

function seal({ id, key }: NamedKey, payload: Payload): Payload {
  const nonce = randomBytes(NONCE_BYTES);
  const cipher = createCipheriv('aes-256-gcm', key, nonce, { authTagLength: TAG_BYTES });
  const plain = PayloadMessage.encode(payload).finish();
  const data = Buffer.concat([nonce, cipher.update(plain), cipher.final(), cipher.getAuthTag()]);
  return { metadata: { encoding: Buffer.from(ENCODING), [KEY_ID]: Buffer.from(id) }, data };
}

function open(keys: Keyring, payload: Payload): Payload {
  const { encoding, [KEY_ID]: name } = payload.metadata ?? {};
  if (!encoding || Buffer.from(encoding).toString() !== ENCODING) return payload;
  const data = Buffer.from(payload.data ?? []);
  if (!name) return PayloadMessage.decode(decryptByAny(keys, data));
  const id = Buffer.from(name).toString().slice(0, 8);
  const key = keys.find(id);
  if (key) return PayloadMessage.decode(decrypt(key, data));
  const known = keys.ids.join(', ');
  throw new DomainError('CONFIGURATION', `cannot read a payload of key ${id}; this process has ${known}`, {
    hint: `Put key ${id} back into the file of PAYLOAD_KEY_FILE, behind the first line.`,
  });
}

/** A wrong key never passes for the right one: the tag tells. */
function decryptByAny(keys: Keyring, data: Buffer): Buffer {
  let refusal: unknown;
  for (const id of keys.ids) {
    try {
      return decrypt(keys.find(id) ?? new Uint8Array(), data);
    } catch (error) {
      refusal = error;
    }
  }
  throw refusal;
}

function decrypt(key: Uint8Array, data: Buffer): Buffer {
  const decipher = createDecipheriv('aes-256-gcm', key, data.subarray(0, NONCE_BYTES), { authTagLength: TAG_BYTES });
  decipher.setAuthTag(data.subarray(-TAG_BYTES));
  return Buffer.concat([decipher.update(data.subarray(NONCE_BYTES, -TAG_BYTES)), decipher.final()]);
}
