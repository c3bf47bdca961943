import { X509Certificate } from 'node:crypto';
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createSecureContext } from 'node:tls';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createDefaultCertificate } from './default-certificate.ts';

const DAY_MS = 24 * 60 * 60 * 1000;
const START = Date.UTC(2026, 0, 1);

describe('createDefaultCertificate', () => {
  let directory: string;
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'obiente-certificate-'));
  });
  afterEach(() => rm(directory, { recursive: true }));

  function certificateAt(now: number, domain = 'localhost') {
    return createDefaultCertificate({ directory, domain, now: () => now })();
  }

  it('is for the domain and every name right below it, with a key that fits', async () => {
    const { certificate, key } = await certificateAt(START);
    expect(() => createSecureContext({ cert: certificate, key })).not.toThrow();
    const parsed = new X509Certificate(certificate);
    expect(parsed.verify(parsed.publicKey)).toBe(true);
    expect(parsed.subjectAltName).toBe('DNS:localhost, DNS:*.localhost');
    expect(parsed.checkHost('localhost')).toBe('localhost');
    expect(key).toContain('PRIVATE KEY');
  });

  it('stays the same over restarts and is readable by its owner only', async () => {
    const first = await certificateAt(START);
    expect(await certificateAt(START + 300 * DAY_MS)).toEqual(first);
    expect((await stat(join(directory, 'default-certificate.json'))).mode & 0o777).toBe(0o600);
  });

  it('is replaced 30 days before its end, also in a process that goes on', async () => {
    let now = START;
    const current = createDefaultCertificate({ directory, domain: 'localhost', now: () => now });
    const first = await current();
    now += 368 * DAY_MS;
    expect(await current()).not.toEqual(first);
    expect(await current()).toEqual(await certificateAt(now));
  });

  it('is replaced for another domain and when the file is damaged', async () => {
    const first = await certificateAt(START);
    const other = await certificateAt(START, 'apps.test');
    expect(other).not.toEqual(first);
    await writeFile(join(directory, 'default-certificate.json'), '{"certificate":"x"');
    const healed = await certificateAt(START, 'apps.test');
    expect(JSON.parse(await readFile(join(directory, 'default-certificate.json'), 'utf8'))).toEqual(healed);
  });

  it('is made once for callers at the same time', async () => {
    const current = createDefaultCertificate({ directory, domain: 'localhost', now: () => START });
    const all = await Promise.all([current(), current(), current()]);
    expect(new Set(all.map(({ certificate }) => certificate)).size).toBe(1);
  });
});
