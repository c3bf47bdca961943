import { X509Certificate } from 'node:crypto';
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { PemCertificate } from '../../domain/routing.ts';
import { createSelfSignedCertificate } from './self-signed-certificate.ts';

const DAY_MS = 24 * 60 * 60 * 1000;

/** Browsers refuse certificates that are valid for longer than 398 days. */
const VALID_MS = 397 * DAY_MS;

/** A certificate this near to its end is replaced. */
const RENEW_BEFORE_MS = 30 * DAY_MS;

/** Where the certificate is kept, and for which names. */
export interface DefaultCertificateOptions {
  readonly directory: string;
  /** Domain of the platform; the certificate is for it and for every name right below. */
  readonly domain: string;
  /** Milliseconds since 1970; the clock, unless a test says otherwise. */
  readonly now?: () => number;
}

/**
 * The self-signed certificate that an ingress shows where no better one is known, kept on disk.
 *
 * The returned function answers with it, makes it when there is none for this domain, and replaces it 30 days before
 * its end; call it again for every snapshot.
 */
export function createDefaultCertificate(options: DefaultCertificateOptions): () => Promise<PemCertificate> {
  const file = join(options.directory, 'default-certificate.json');
  const now = options.now ?? Date.now;
  let current: KeptCertificate | undefined;
  let ensuring: Promise<KeptCertificate> | undefined;
  return async () => {
    if (!current || !isFresh(current, options.domain, now())) {
      ensuring ??= ensure(file, options.domain, now()).finally(() => {
        ensuring = undefined;
      });
      current = await ensuring;
    }
    return { certificate: current.certificate, key: current.key };
  };
}

interface KeptCertificate extends PemCertificate {
  readonly domain: string;
  readonly expiresAt: number;
}

function isFresh(kept: KeptCertificate, domain: string, now: number): boolean {
  return kept.domain === domain && kept.expiresAt - now > RENEW_BEFORE_MS;
}

async function ensure(file: string, domain: string, now: number): Promise<KeptCertificate> {
  const found = await readKept(file, domain);
  if (found && isFresh(found, domain, now)) return found;
  const made = generate(domain, now);
  await mkdir(join(file, '..'), { recursive: true, mode: 0o700 });
  const temporary = `${file}.${process.pid}.tmp`;
  await writeFile(temporary, JSON.stringify({ certificate: made.certificate, key: made.key }), { mode: 0o600 });
  await rename(temporary, file);
  return made;
}

/** A file that cannot be read or understood counts as none: it is replaced. */
async function readKept(file: string, domain: string): Promise<KeptCertificate | undefined> {
  try {
    const { certificate, key } = JSON.parse(await readFile(file, 'utf8')) as PemCertificate;
    if (typeof key !== 'string' || !key.includes('PRIVATE KEY')) return undefined;
    const parsed = new X509Certificate(certificate);
    const isForDomain = parsed.checkHost(domain) !== undefined;
    return isForDomain ? { certificate, key, domain, expiresAt: parsed.validToDate.getTime() } : undefined;
  } catch {
    return undefined;
  }
}

function generate(domain: string, now: number): KeptCertificate {
  const expiresAt = now + VALID_MS;
  const pair = createSelfSignedCertificate({
    names: [domain, `*.${domain}`],
    notBefore: new Date(now - DAY_MS),
    notAfter: new Date(expiresAt),
  });
  return { ...pair, domain, expiresAt };
}
