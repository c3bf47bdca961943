import { randomBytes } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { createFirstSealing, createMemoryDataKeys } from '../../test/support/data-keys.ts';
import { makeDataKey, tryRewrapDataKey, unwrapDataKey } from './data-keys.ts';
import { createKeyring, keyId } from './keyring.ts';
import { createSealing } from './sealing.ts';

const ACME = '0d6f7e0a-0000-4000-8000-000000000001';
const OTHER = '0d6f7e0a-0000-4000-8000-000000000002';
const REF = { organizationId: ACME, version: 1 };
const PLACE = { organizationId: ACME, owner: 'deployment 1', name: 'TOKEN', version: 'v-1' };

describe('a wrapped data key', () => {
  const key = randomBytes(32);
  const keys = createKeyring(key);

  it('unwraps for its organization and version only', () => {
    const wrapped = makeDataKey(keys.present, REF);
    expect(unwrapDataKey(keys, REF, wrapped)).toHaveLength(32);
    for (const other of [
      { ...REF, organizationId: OTHER },
      { ...REF, version: 2 },
    ]) {
      expect(() => unwrapDataKey(keys, other, wrapped)).toThrow(
        expect.objectContaining({ code: 'CONFIGURATION', message: expect.stringContaining('belongs to another') }),
      );
    }
  });

  it('does not unwrap with any bit changed, cut off or added, nor in another form', () => {
    const wrapped = makeDataKey(keys.present, REF);
    const [form, id, data = ''] = wrapped.split('.');
    const bytes = Buffer.from(data, 'base64url');
    const flipped = [...bytes].map((byte, index) => Buffer.from(bytes).fill(byte ^ 1, index, index + 1));
    const cut = [4, 8, 12, 16, bytes.length].map((length) => bytes.subarray(0, bytes.length - length));
    const texts = [...flipped, ...cut].map((changed) => `${form}.${id}.${changed.toString('base64url')}`);
    for (const text of [...texts, '', 'k2', `k2.${id}`, `k1.${id}.${data}`, `k3.${id}.${data}`, `${wrapped}.x`]) {
      expect(() => unwrapDataKey(keys, REF, text)).toThrow('cannot unwrap');
    }
  });

  it('of the first form stands for version 1 alone', () => {
    const { wrappedKey } = createFirstSealing(key, ACME);
    expect(unwrapDataKey(keys, REF, wrappedKey)).toHaveLength(32);
    expect(() => unwrapDataKey(keys, { ...REF, version: 2 }, wrappedKey)).toThrow('unknown form');
    expect(() => unwrapDataKey(keys, { ...REF, organizationId: OTHER }, wrappedKey)).toThrow('belongs to another');
  });
});

describe('a rotation of the master key', () => {
  const [old, next] = [randomBytes(32), randomBytes(32)];
  const both = createKeyring(next, old);

  it('changes what wraps a data key, and nothing of the data key', () => {
    const wrappedKeys = [
      makeDataKey(createKeyring(old).present, REF),
      createFirstSealing(old, ACME).wrappedKey,
      makeDataKey(both.present, REF),
    ];
    for (const wrapped of wrappedKeys) {
      const outcome = tryRewrapDataKey(both, both.present, REF, wrapped);
      const rewrapped = 'wrappedKey' in outcome ? outcome.wrappedKey : '';
      expect(rewrapped).toMatch(new RegExp(`^k2\\.${keyId(next)}\\.`));
      expect(unwrapDataKey(createKeyring(next), REF, rewrapped)).toEqual(unwrapDataKey(both, REF, wrapped));
    }
  });

  it('is told by a process that lacks the needed key, with the names of those that it has', () => {
    const wrapped = makeDataKey(createKeyring(old).present, REF);
    expect(() => unwrapDataKey(createKeyring(next), REF, wrapped)).toThrow(
      expect.objectContaining({
        code: 'CONFIGURATION',
        message: expect.stringContaining(
          `it is wrapped by master key ${keyId(old)}, and this process has ${keyId(next)}`,
        ),
        hint: expect.stringContaining(keyId(old)),
      }),
    );
    const outcome = tryRewrapDataKey(createKeyring(next), both.present, REF, wrapped);
    expect(outcome).toEqual({ masterKeyId: keyId(old), reason: 'missing' });
  });

  it('does not carry a data key to another organization', () => {
    const wrapped = makeDataKey(createKeyring(old).present, REF);
    const damaged = { masterKeyId: keyId(old), reason: 'damaged' };
    expect(tryRewrapDataKey(both, both.present, { ...REF, organizationId: OTHER }, wrapped)).toEqual(damaged);
    expect(tryRewrapDataKey(both, both.present, REF, `k1.${keyId(old)}.AAAA`)).toEqual(damaged);
  });
});

describe('a new data key of an organization', () => {
  const masterKeys = createKeyring(randomBytes(32));
  const other = createKeyring(randomBytes(32));

  /** Two processes on one store, and a clock. */
  function aRig() {
    const keys = createMemoryDataKeys();
    let nowMs = 0;
    const aProcess = () => createSealing({ masterKeys, store: keys.store, now: () => nowMs });
    const add = (version: number, by = masterKeys) =>
      keys.stored.get(ACME)?.push({ version, wrappedKey: makeDataKey(by.present, { organizationId: ACME, version }) });
    return { ...keys, aProcess, add, wait: (ms: number) => (nowMs += ms) };
  }

  it('seals from then on, a minute later at the latest, while older ones go on opening', async () => {
    const { aProcess, add, wait } = aRig();
    const sealing = aProcess();
    const before = await sealing.seal({ ...PLACE, value: 'before' });
    add(2);
    expect(await sealing.seal({ ...PLACE, value: 'soon after' })).toMatch(/^s2\.1\./);
    wait(60_001);
    const after = await sealing.seal({ ...PLACE, value: 'after' });
    expect(after).toMatch(/^s2\.2\./);
    expect(await sealing.open({ ...PLACE, sealed: before })).toBe('before');
    expect(await sealing.open({ ...PLACE, sealed: after })).toBe('after');
  });

  it('is found at once by a process that is given what another one sealed by it', async () => {
    const { aProcess, add } = aRig();
    const [one, another] = [aProcess(), aProcess()];
    await one.seal({ ...PLACE, value: 'x' });
    add(2);
    const sealed = await another.seal({ ...PLACE, value: 'new' });
    expect(sealed).toMatch(/^s2\.2\./);
    expect(await one.open({ ...PLACE, sealed })).toBe('new');
  });

  it('does not open under the number of another version', async () => {
    const { aProcess, add } = aRig();
    const sealed = await aProcess().seal({ ...PLACE, value: 'x' });
    add(2);
    const renamed = sealed.replace(/^s2\.1\./, 's2.2.');
    await expect(aProcess().open({ ...PLACE, sealed: renamed })).rejects.toThrow('cannot open');
  });

  it('leaves fingerprints as they are', async () => {
    const { aProcess, add } = aRig();
    const before = await aProcess().fingerprint({ organizationId: ACME, value: 'x' });
    add(2);
    expect(await aProcess().fingerprint({ organizationId: ACME, value: 'x' })).toBe(before);
  });

  it('that cannot be unwrapped does not keep what older ones sealed from being opened', async () => {
    const { aProcess, add } = aRig();
    const sealed = await aProcess().seal({ ...PLACE, value: 'x' });
    add(2, other);
    const restarted = aProcess();
    expect(await restarted.open({ ...PLACE, sealed })).toBe('x');
    await expect(restarted.seal({ ...PLACE, value: 'y' })).rejects.toThrow(other.present.id);
  });
});
