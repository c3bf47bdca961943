import { generateKeyPairSync, randomBytes, sign } from 'node:crypto';
import type { PemCertificate } from '../../domain/routing.ts';

/** Object identifiers in DER, as they stand in every certificate of this kind. */
const OID = {
  ecdsaWithSha256: Buffer.from('06082a8648ce3d040302', 'hex'),
  commonName: Buffer.from('0603550403', 'hex'),
  subjectAltName: Buffer.from('0603551d11', 'hex'),
  extendedKeyUsage: Buffer.from('0603551d25', 'hex'),
  serverAuthentication: Buffer.from('06082b06010505070301', 'hex'),
};

const TAG = { integer: 0x02, bits: 0x03, octets: 0x04, text: 0x0c, set: 0x31, sequence: 0x30, utc: 0x17, time: 0x18 };

/** Names and time of a certificate. */
export interface SelfSignedOptions {
  readonly names: readonly string[];
  readonly notBefore: Date;
  readonly notAfter: Date;
}

/** Makes a P-256 key and a server certificate for it that only it vouches for (RFC 5280, RFC 5758). */
export function createSelfSignedCertificate(options: SelfSignedOptions): PemCertificate {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const algorithm = sequence(OID.ecdsaWithSha256);
  const name = sequence(der(TAG.set, sequence(OID.commonName, der(TAG.text, Buffer.from('Obiente Cloud')))));
  const altNames = sequence(...options.names.map((dns) => der(0x82, Buffer.from(dns, 'ascii'))));
  const toSign = sequence(
    der(0xa0, der(TAG.integer, Buffer.of(2))),
    der(TAG.integer, serialNumber()),
    algorithm,
    name,
    sequence(time(options.notBefore), time(options.notAfter)),
    name,
    publicKey.export({ type: 'spki', format: 'der' }),
    der(
      0xa3,
      sequence(
        sequence(OID.subjectAltName, der(TAG.octets, altNames)),
        sequence(OID.extendedKeyUsage, der(TAG.octets, sequence(OID.serverAuthentication))),
      ),
    ),
  );
  const signature = sign('sha256', toSign, privateKey);
  const certificate = sequence(toSign, algorithm, der(TAG.bits, Buffer.of(0), signature));
  return { certificate: toPem(certificate), key: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString() };
}

/** 127 random bits: positive, and never without a leading bit, so the shortest form. */
function serialNumber(): Buffer {
  const serial = randomBytes(16);
  serial[0] = ((serial[0] ?? 0) & 0x3f) | 0x40;
  return serial;
}

/** Years from 2050 on are written with four digits (RFC 5280, 4.1.2.5). */
function time(date: Date): Buffer {
  const digits = `${date.toISOString().replace(/\D/g, '').slice(0, 14)}Z`;
  const isLate = date.getUTCFullYear() >= 2050;
  return der(isLate ? TAG.time : TAG.utc, Buffer.from(isLate ? digits : digits.slice(2)));
}

function sequence(...parts: readonly Buffer[]): Buffer {
  return der(TAG.sequence, ...parts);
}

function der(tag: number, ...parts: readonly Buffer[]): Buffer {
  const content = Buffer.concat(parts);
  if (content.length < 0x80) return Buffer.concat([Buffer.of(tag, content.length), content]);
  const digits = content.length.toString(16);
  const length = Buffer.from(digits.length % 2 ? `0${digits}` : digits, 'hex');
  return Buffer.concat([Buffer.of(tag, 0x80 | length.length), length, content]);
}

function toPem(certificate: Buffer): string {
  const lines = certificate.toString('base64').match(/.{1,64}/g) ?? [];
  return ['-----BEGIN CERTIFICATE-----', ...lines, '-----END CERTIFICATE-----', ''].join('\n');
}
