import { randomBytes } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { createPayloadCodec } from './payload-codec.ts';

const codec = createPayloadCodec(randomBytes(32));

function aPayload(text: string) {
  return { metadata: { encoding: Buffer.from('json/plain') }, data: Buffer.from(JSON.stringify(text)) };
}

describe('the payload codec', () => {
  it('gives back what it was given, and shows nothing of it in between', async () => {
    const [sealed] = await codec.encode([aPayload('canary-4711')]);
    expect(Buffer.from(sealed?.data ?? []).toString('latin1')).not.toContain('canary-4711');
    const [opened] = await codec.decode(sealed ? [sealed] : []);
    expect(Buffer.from(opened?.data ?? []).toString()).toBe('"canary-4711"');
    expect(Buffer.from(opened?.metadata?.encoding ?? []).toString()).toBe('json/plain');
  });

  it('never encrypts the same payload to the same bytes', async () => {
    const [first, second] = await codec.encode([aPayload('same'), aPayload('same')]);
    expect(first?.data).not.toEqual(second?.data);
  });

  it('refuses a payload that was changed, or that another key encrypted', async () => {
    const [sealed] = await codec.encode([aPayload('x')]);
    const changed = Buffer.from(sealed?.data ?? []);
    changed[14] = (changed[14] ?? 0) ^ 1;
    await expect(codec.decode([{ ...sealed, data: changed }])).rejects.toThrow();
    await expect(createPayloadCodec(randomBytes(32)).decode(sealed ? [sealed] : [])).rejects.toThrow();
  });

  it('reads what was stored before it existed', async () => {
    expect(await codec.decode([aPayload('plain')])).toEqual([aPayload('plain')]);
  });

  it('does not start with a key of another size', () => {
    expect(() => createPayloadCodec(randomBytes(31))).toThrow('31 bytes');
  });
});
