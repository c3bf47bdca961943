import { mkdirSync } from 'node:fs';
import { readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parse, stringify } from 'yaml';
import { createSelfSignedCertificate } from '../../adapters/traefik/self-signed-certificate.ts';
import type { Installation } from '../../workers/dev/installation.ts';
import { traefikConfigFile } from '../../workers/dev/members.ts';

const DAY_MS = 24 * 3_600_000;

/** Has the ingress read certificates from a folder as well, as operators do who have some of their own. */
export async function readCertificatesFromFolder({ stateDir }: Pick<Installation, 'stateDir'>): Promise<void> {
  const file = traefikConfigFile(stateDir);
  const config = parse(await readFile(file, 'utf8')) as { providers: object };
  mkdirSync(folderOf(stateDir), { recursive: true });
  const providers = { ...config.providers, file: { directory: folderOf(stateDir), watch: true } };
  await writeFile(file, stringify({ ...config, providers }), { mode: 0o600 });
}

/** Has the ingress serve a certificate for a hostname that expires in so many days. */
export async function serveCertificate(stateDir: string, hostname: string, days: number): Promise<void> {
  const { certificate, key } = createSelfSignedCertificate({
    names: [hostname],
    notBefore: new Date(Date.now() - 80 * DAY_MS),
    notAfter: new Date(Date.now() + days * DAY_MS),
  });
  const file = join(folderOf(stateDir), `${hostname}.yml`);
  const temporary = join(stateDir, `${hostname}.yml.tmp`);
  await writeFile(temporary, stringify({ tls: { certificates: [{ certFile: certificate, keyFile: key }] } }));
  await rename(temporary, file);
}

function folderOf(stateDir: string): string {
  return join(stateDir, 'traefik', 'certificates');
}
