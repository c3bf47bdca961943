import { randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createFirstSealing, createMemoryDataKeys } from '../../test/support/data-keys.ts';
import { bindContext, encrypt } from './cipher.ts';
import { createKeyring } from './keyring.ts';
import { createSealing, type SealedSecret } from './sealing.ts';

const ACME = '0d6f7e0a-0000-4000-8000-000000000001';
const OTHER = '0d6f7e0a-0000-4000-8000-000000000002';
const PLACE = { organizationId: ACME, owner: 'deployment 1', name: 'TOKEN', version: 'v-1' };
const CANARY = 'canary-4711';

function aRig({ masterKey = randomBytes(32), stored }: { masterKey?: Uint8Array; stored?: Map<string, never[]> } = {}) {
  const keys = createMemoryDataKeys(stored);
  return { ...keys, masterKey, sealing: createSealing({ masterKeys: createKeyring(masterKey), store: keys.store }) };
}

async function expectRefused(opened: Promise<string>): Promise<void> {
  await expect(opened).rejects.toMatchObject({ code: 'INTERNAL', message: expect.not.stringContaining('canary') });
  await expect(opened).rejects.toThrow('cannot open');
}

describe('sealing', () => {
  it('gives back any value, byte for byte', async () => {
    const { sealing } = aRig();
    await fc.assert(
      fc.asyncProperty(fc.string({ unit: 'grapheme', maxLength: 200 }), async (value) => {
        const sealed = await sealing.seal({ ...PLACE, value });
        expect(await sealing.open({ ...PLACE, sealed })).toBe(value);
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

  it('opens nowhere but in the very same place, under the very same version', async () => {
    const { sealing } = aRig();
    const part = fc.string({ unit: fc.constantFrom('a', 'b', '.', '1', '\0'), maxLength: 3 });
    const place = fc.record({ organizationId: part, owner: part, name: part, version: part });
    await fc.assert(
      fc.asyncProperty(place, place, async (own, other) => {
        const sealed = await sealing.seal({ ...own, value: CANARY });
        expect(await sealing.open({ ...own, sealed })).toBe(CANARY);
        if (JSON.stringify(own) === JSON.stringify(other)) return;
        await sealing.seal({ ...other, value: 'x' });
        await expectRefused(sealing.open({ ...other, sealed }));
      }),
    );
  });

  it.each<[what: string, change: Partial<SealedSecret>]>([
    ['another variable of the deployment', { name: 'OTHER' }],
    ['the same variable of another deployment', { owner: 'deployment 2' }],
    ['the same variable of another organization', { organizationId: OTHER }],
    ['an older or newer value of the variable', { version: 'v-2' }],
    ['a value from before versions', { version: undefined }],
    ['names whose joint spelling is the same', { owner: 'deployment 1T', name: 'OKEN' }],
  ])('does not open in the place of %s', async (_, change) => {
    const { sealing } = aRig();
    await sealing.seal({ ...PLACE, organizationId: OTHER, value: 'their own' });
    const sealed = await sealing.seal({ ...PLACE, value: CANARY });
    await expectRefused(sealing.open({ ...PLACE, ...change, sealed }));
  });

  it('does not open with any bit changed, cut off or added, nor in another form', async () => {
    const { sealing } = aRig();
    const sealed = await sealing.seal({ ...PLACE, value: CANARY });
    const [form, keyVersion, data = ''] = sealed.split('.');
    expect([form, keyVersion]).toEqual(['s2', '1']);
    const bytes = Buffer.from(data, 'base64url');
    const flipped = [...bytes].map((byte, index) => Buffer.from(bytes).fill(byte ^ 1, index, index + 1));
    const cut = [4, 8, 12, 16, bytes.length].map((length) => bytes.subarray(0, bytes.length - length));
    for (const changed of [...flipped, ...cut, Buffer.concat([bytes, Buffer.from([0])])]) {
      await expectRefused(sealing.open({ ...PLACE, sealed: `s2.1.${changed.toString('base64url')}` }));
    }
    const forms = ['', 's2', 's2.1', 's3.1.AAAA', `s1.1.${data}`, `s1.${data}`, `s2.${data}`, `${sealed}.x`];
    for (const form of [...forms, `s2.01.${data}`, `s2.2.${data}`, `s2.0.${data}`, `s2.1e0.${data}`]) {
      await expectRefused(sealing.open({ ...PLACE, sealed: form }));
      await expectRefused(sealing.open({ ...PLACE, version: undefined, sealed: form }));
    }
  });

  it('loads the keys of an organization once, and opens after a restart what was sealed before', async () => {
    const first = aRig();
    const sealed = await first.sealing.seal({ ...PLACE, value: 'x' });
    const loads = first.asked.length;
    await first.sealing.seal({ ...PLACE, name: 'B', value: 'y' });
    await first.sealing.open({ ...PLACE, sealed });
    expect(first.asked).toHaveLength(loads);
    const restarted = aRig(first as never);
    expect(await restarted.sealing.open({ ...PLACE, sealed })).toBe('x');
  });

  it('makes one data key when many seal for a new organization at the same time', async () => {
    const { sealing, asked } = aRig();
    const all = await Promise.all([1, 2, 3, 4].map((value) => sealing.seal({ ...PLACE, value: `${value}` })));
    expect(asked).toHaveLength(2);
    expect(await Promise.all(all.map((sealed) => sealing.open({ ...PLACE, sealed })))).toEqual(['1', '2', '3', '4']);
  });

  it('tries again when the keys could not be loaded', async () => {
    const { store, masterKey } = aRig();
    let isAway = true;
    const sometimes = {
      ...store,
      listDataKeys: async (organizationId: string) => {
        if (isAway) throw new Error('the database is away');
        return await store.listDataKeys(organizationId);
      },
    };
    const sealing = createSealing({ masterKeys: createKeyring(masterKey), store: sometimes });
    await expect(sealing.seal({ ...PLACE, value: 'x' })).rejects.toThrow('away');
    isAway = false;
    const sealed = await sealing.seal({ ...PLACE, value: 'x' });
    expect(await sealing.open({ ...PLACE, sealed })).toBe('x');
  });

  it('stores no data key in the clear, and none twice', async () => {
    const { sealing, stored } = aRig();
    await sealing.seal({ ...PLACE, value: 'x' });
    await sealing.seal({ ...PLACE, organizationId: OTHER, value: 'x' });
    const wrapped = [...stored.values()].flat().map(({ wrappedKey }) => wrappedKey);
    expect(new Set(wrapped).size).toBe(2);
    for (const text of wrapped) expect(text).toMatch(/^k2\.[0-9a-f]{8}\.[\w-]{80}$/);
  });
});

describe('what the first version of the sealing left', () => {
  const masterKey = randomBytes(32);
  const first = createFirstSealing(masterKey, ACME);
  const place = { ...PLACE, version: undefined };
  const aSealing = () => {
    const stored = new Map([[ACME, [{ version: 1, wrappedKey: first.wrappedKey }]]]);
    return createSealing({ masterKeys: createKeyring(masterKey), store: createMemoryDataKeys(stored).store });
  };

  it('still opens, and looks the same', async () => {
    const sealing = aSealing();
    expect(await sealing.open({ ...place, sealed: first.seal('TOKEN', CANARY) })).toBe(CANARY);
    expect(await sealing.fingerprint({ organizationId: ACME, value: CANARY })).toBe(first.fingerprint(CANARY));
  });

  it('does not open in another place, nor where a value with a version belongs', async () => {
    const sealing = aSealing();
    const sealed = first.seal('TOKEN', CANARY);
    await sealing.seal({ ...PLACE, organizationId: OTHER, value: 'their own' });
    for (const change of [{ name: 'OTHER' }, { organizationId: OTHER }, { version: 'v-1' }]) {
      await expectRefused(sealing.open({ ...place, ...change, sealed }));
    }
  });

  it('is sealed in the new form when it is set again', async () => {
    const sealing = aSealing();
    const sealed = await sealing.seal({ ...PLACE, value: CANARY });
    expect(sealed).toMatch(/^s2\.1\./);
    expect(await sealing.open({ ...PLACE, sealed })).toBe(CANARY);
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
