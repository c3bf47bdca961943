import { randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { bindContext, encrypt } from './cipher.ts';
import { createSealing } from './sealing.ts';

const ACME = '0d6f7e0a-0000-4000-8000-000000000001';
const OTHER = '0d6f7e0a-0000-4000-8000-000000000002';

function aRig({ masterKey = randomBytes(32), stored = new Map<string, string>() } = {}) {
  const asked: string[] = [];
  const sealing = createSealing({
    masterKey,
    findOrCreateOrganizationKey: async ({ organizationId, proposedWrappedKey }) => {
      asked.push(organizationId);
      const found = stored.get(organizationId) ?? proposedWrappedKey;
      stored.set(organizationId, found);
      return found;
    },
  });
  return { sealing, masterKey, stored, asked };
}

describe('sealing', () => {
  it('gives back any value, byte for byte', async () => {
    const { sealing } = aRig();
    await fc.assert(
      fc.asyncProperty(fc.string({ unit: 'grapheme', maxLength: 200 }), async (value) => {
        const sealed = await sealing.seal({ organizationId: ACME, name: 'TOKEN', value });
        expect(await sealing.open({ organizationId: ACME, name: 'TOKEN', sealed })).toBe(value);
      }),
    );
  });

  it('never uses a nonce twice in 100,000 seals', { timeout: 60_000 }, () => {
    const [key, plain, context] = [randomBytes(32), Buffer.from('x'), bindContext(ACME, 'A')];
    const nonces = new Set<string>();
    for (let count = 0; count < 100_000; count += 1) {
      nonces.add(encrypt(key, plain, context).toString('latin1', 0, 12));
    }
    expect(nonces.size).toBe(100_000);
  });

  it.each([
    ['another variable of the organization', { organizationId: ACME, name: 'OTHER' }],
    ['the same variable of another organization', { organizationId: OTHER, name: 'TOKEN' }],
    ['names whose joint spelling is the same', { organizationId: `${ACME}TO`, name: 'KEN' }],
  ])('does not open in the place of %s', async (_, place) => {
    const { sealing } = aRig();
    const sealed = await sealing.seal({ organizationId: ACME, name: 'TOKEN', value: 'canary-4711' });
    const opened = sealing.open({ ...place, sealed });
    await expect(opened).rejects.toMatchObject({ code: 'INTERNAL', message: expect.not.stringContaining('canary') });
  });

  it('does not open with any bit changed, cut off or added', async () => {
    const { sealing } = aRig();
    const sealed = await sealing.seal({ organizationId: ACME, name: 'A', value: 'x' });
    const bytes = Buffer.from(sealed.slice(3), 'base64url');
    const flipped = [...bytes].map((byte, index) => Buffer.from(bytes).fill(byte ^ 1, index, index + 1));
    const cut = [4, 8, 12, 16, bytes.length].map((length) => bytes.subarray(0, bytes.length - length));
    for (const changed of [...flipped, ...cut, Buffer.concat([bytes, Buffer.from([0])])]) {
      const opened = sealing.open({ organizationId: ACME, name: 'A', sealed: `s1.${changed.toString('base64url')}` });
      await expect(opened).rejects.toMatchObject({ code: 'INTERNAL' });
    }
    for (const form of ['', 's1', 's2.AAAA', `${sealed}.x`]) {
      await expect(sealing.open({ organizationId: ACME, name: 'A', sealed: form })).rejects.toThrow('cannot open');
    }
  });

  it('asks for an organization key once, and opens after a restart what was sealed before', async () => {
    const first = aRig();
    const sealed = await first.sealing.seal({ organizationId: ACME, name: 'A', value: 'x' });
    await first.sealing.seal({ organizationId: ACME, name: 'B', value: 'y' });
    expect(first.asked).toEqual([ACME]);
    const restarted = aRig(first);
    expect(await restarted.sealing.open({ organizationId: ACME, name: 'A', sealed })).toBe('x');
  });

  it('says when the database was used with another master key', async () => {
    const first = aRig();
    await first.sealing.seal({ organizationId: ACME, name: 'A', value: 'x' });
    const restarted = aRig({ stored: first.stored });
    const sealed = restarted.sealing.seal({ organizationId: ACME, name: 'A', value: 'x' });
    await expect(sealed).rejects.toMatchObject({ code: 'CONFIGURATION', message: expect.stringMatching(/master key/) });
  });

  it('refuses the wrapped key of another organization', async () => {
    const first = aRig();
    await first.sealing.seal({ organizationId: ACME, name: 'A', value: 'x' });
    const stored = new Map([[OTHER, first.stored.get(ACME) ?? '']]);
    const swapped = aRig({ masterKey: first.masterKey, stored });
    const sealed = swapped.sealing.seal({ organizationId: OTHER, name: 'A', value: 'x' });
    await expect(sealed).rejects.toMatchObject({ code: 'CONFIGURATION' });
  });

  it('stores no data key in the clear, and none twice', async () => {
    const { sealing, stored } = aRig();
    await sealing.seal({ organizationId: ACME, name: 'A', value: 'x' });
    await sealing.seal({ organizationId: OTHER, name: 'A', value: 'x' });
    const wrapped = [...stored.values()];
    expect(new Set(wrapped).size).toBe(2);
    for (const text of wrapped) expect(text).toMatch(/^k1\.[0-9a-f]{8}\.[\w-]{80}$/);
  });
});

describe('fingerprints', () => {
  it('are the same for the same value of one organization, and differ between organizations', async () => {
    const { sealing } = aRig();
    const one = await sealing.fingerprint({ organizationId: ACME, value: 'x' });
    expect(one).toMatch(/^[0-9a-f]{12}$/);
    expect(await sealing.fingerprint({ organizationId: ACME, value: 'x' })).toBe(one);
    expect(await sealing.fingerprint({ organizationId: ACME, value: 'y' })).not.toBe(one);
    expect(await sealing.fingerprint({ organizationId: OTHER, value: 'x' })).not.toBe(one);
  });
});
