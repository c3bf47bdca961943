import { createCipheriv, randomBytes } from 'node:crypto';
import type { Payload } from '@temporalio/common';
import proto from '@temporalio/proto';
import { describe, expect, it } from 'vitest';
import { createKeyring, keyId } from '../sealing/keyring.ts';
import { createPayloadCodec } from './payload-codec.ts';

const OLD = randomBytes(32);
const NEW = randomBytes(32);
const codec = createPayloadCodec(createKeyring(OLD));

function aPayload(text: string) {
  return { metadata: { encoding: Buffer.from('json/plain') }, data: Buffer.from(JSON.stringify(text)) };
}

async function aSealed(by = codec, text = 'x'): Promise<Payload> {
  const [sealed] = await by.encode([aPayload(text)]);
  if (!sealed) throw new Error('nothing was encoded');
  return sealed;
}

/** As the first version of the codec made it: without the name of the key. */
function aNamelessPayload(key: Uint8Array, text: string): Payload {
  const nonce = randomBytes(12);
  const cipher = createCipheriv('aes-256-gcm', key, nonce, { authTagLength: 16 });
  const plain = proto.temporal.api.common.v1.Payload.encode(aPayload(text)).finish();
  const data = Buffer.concat([nonce, cipher.update(plain), cipher.final(), cipher.getAuthTag()]);
  return { metadata: { encoding: Buffer.from('binary/encrypted') }, data };
}

function textOf(payload: Payload | undefined): unknown {
  return JSON.parse(Buffer.from(payload?.data ?? []).toString());
}

describe('the payload codec', () => {
  it('gives back what it was given, and shows nothing of it in between', async () => {
    const sealed = await aSealed(codec, 'canary-4711');
    expect(Buffer.from(sealed.data ?? []).toString('latin1')).not.toContain('canary-4711');
    const [opened] = await codec.decode([sealed]);
    expect(textOf(opened)).toBe('canary-4711');
    expect(Buffer.from(opened?.metadata?.encoding ?? []).toString()).toBe('json/plain');
  });

  it('never encrypts the same payload to the same bytes', async () => {
    const [first, second] = await codec.encode([aPayload('same'), aPayload('same')]);
    expect(first?.data).not.toEqual(second?.data);
  });

  it('refuses a payload that was changed, or that another key encrypted', async () => {
    const sealed = await aSealed();
    const changed = Buffer.from(sealed.data ?? []);
    changed[14] = (changed[14] ?? 0) ^ 1;
    await expect(codec.decode([{ ...sealed, data: changed }])).rejects.toThrow();
    await expect(createPayloadCodec(createKeyring(NEW)).decode([sealed])).rejects.toThrow();
  });

  it('reads what was stored before it existed', async () => {
    expect(await codec.decode([aPayload('plain')])).toEqual([aPayload('plain')]);
  });
});

describe('a rotation of the payload key', () => {
  const before = createPayloadCodec(createKeyring(OLD));
  const preparing = createPayloadCodec(createKeyring(OLD, NEW));
  const after = createPayloadCodec(createKeyring(NEW, OLD));

  it('leaves every payload readable, whoever wrote it', async () => {
    const payloads = await Promise.all([before, preparing, after].map((by, index) => aSealed(by, `payload ${index}`)));
    for (const reader of [preparing, after]) {
      expect((await reader.decode(payloads)).map(textOf)).toEqual(['payload 0', 'payload 1', 'payload 2']);
    }
  });

  it('names the key of each payload: the first of the file', async () => {
    const idOf = async (by: typeof before) => {
      const { metadata } = await aSealed(by);
      return Buffer.from(metadata?.['encryption-key-id'] ?? []).toString();
    };
    expect([await idOf(before), await idOf(preparing), await idOf(after)]).toEqual([
      keyId(OLD),
      keyId(OLD),
      keyId(NEW),
    ]);
  });

  it('reads payloads that do not name their key by whichever key fits', async () => {
    const nameless = aNamelessPayload(OLD, 'from the first version');
    for (const reader of [before, preparing, after]) {
      expect(textOf((await reader.decode([nameless]))[0])).toBe('from the first version');
    }
    await expect(createPayloadCodec(createKeyring(NEW)).decode([nameless])).rejects.toThrow();
  });

  it('says which key is missing', async () => {
    const sealed = await aSealed(after);
    await expect(before.decode([sealed])).rejects.toMatchObject({
      code: 'CONFIGURATION',
      message: `cannot read a payload of key ${keyId(NEW)}; this process has ${keyId(OLD)}`,
    });
  });

  it('does not open a payload under the name of another key', async () => {
    const sealed = await aSealed(before);
    const renamed = { ...sealed, metadata: { ...sealed.metadata, 'encryption-key-id': Buffer.from(keyId(NEW)) } };
    await expect(after.decode([renamed])).rejects.toThrow();
  });
});
