import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { invalidArgument } from '../../domain/errors.ts';

/** The form of OpenSSH's own key files (PROTOCOL.key). */
const MAGIC = 'openssh-key-v1\0';
const TYPE = 'ssh-ed25519';
const BLOCK_BYTES = 8;
const COMMENT = 'obiente';

const HEADER = /^-----BEGIN ([A-Z ]*PRIVATE KEY)-----\s/;

/** A key pair as OpenSSH writes it to two files. */
export interface DeployKey {
  readonly privateKey: string;
  /** One line. */
  readonly publicKey: string;
}

/** Makes an Ed25519 key without a passphrase. */
export function generateDeployKey(): DeployKey {
  const { d = '', x = '' } = generateKeyPairSync('ed25519').privateKey.export({ format: 'jwk' });
  const [seed, point] = [Buffer.from(d, 'base64url'), Buffer.from(x, 'base64url')];
  const publicBlob = Buffer.concat([field(TYPE), field(point)]);
  const check = randomBytes(4);
  const secret = Buffer.concat([
    ...[check, check, field(TYPE), field(point), field(Buffer.concat([seed, point])), field(COMMENT)],
  ]);
  const padding = Buffer.from(Array.from({ length: -secret.length & (BLOCK_BYTES - 1) }, (_, index) => index + 1));
  const count = Buffer.from([0, 0, 0, 1]);
  const file = Buffer.concat([
    ...[Buffer.from(MAGIC), field('none'), field('none'), field(''), count, field(publicBlob)],
    field(Buffer.concat([secret, padding])),
  ]);
  const lines = file.toString('base64').match(/.{1,70}/g) ?? [];
  const label = 'OPENSSH PRIVATE KEY';
  return {
    privateKey: `-----BEGIN ${label}-----\n${lines.join('\n')}\n-----END ${label}-----\n`,
    publicKey: `${TYPE} ${publicBlob.toString('base64')} ${COMMENT}`,
  };
}

/**
 * Looks at a private key that somebody gives.
 *
 * @returns its public half, empty for forms other than OpenSSH's own.
 * @throws INVALID_ARGUMENT for what is none, and for one with a passphrase; never with any of it.
 */
export function checkPrivateKey(name: string, text: string): { readonly publicKey: string } {
  const allowed = 'a key file as ssh-keygen writes it, without a passphrase';
  const [, label] = HEADER.exec(text.trimStart()) ?? [];
  if (label === undefined) throw invalidArgument(name, 'is no private key', allowed);
  if (label.startsWith('ENCRYPTED') || /^(?:Proc-Type|DEK-Info):/m.test(text)) {
    throw invalidArgument(name, 'has a passphrase', allowed);
  }
  if (!label.startsWith('OPENSSH')) return { publicKey: '' };
  const data = Buffer.from(text.replace(/-----[^-]*-----/g, ''), 'base64');
  const read = reader(data);
  try {
    if (read(MAGIC.length).toString('latin1') !== MAGIC) throw new Error('other beginning');
    const cipher = read(length(read)).toString('latin1');
    if (cipher !== 'none') throw invalidArgument(name, 'has a passphrase', allowed);
    for (let skipped = 0; skipped < 2; skipped += 1) read(length(read));
    read(4);
    const blob = read(length(read));
    const type = blob.subarray(4, 4 + blob.readUInt32BE(0)).toString('latin1');
    if (!/^[a-z0-9@.-]{1,64}$/.test(type)) throw new Error('other type');
    return { publicKey: `${type} ${blob.toString('base64')}` };
  } catch (error) {
    if (error instanceof RangeError || (error as Error).message.startsWith('other')) {
      throw invalidArgument(name, 'is a broken key file', allowed);
    }
    throw error;
  }
}

/** A text or bytes with their length before them. */
function field(content: string | Buffer): Buffer {
  const bytes = Buffer.from(content as Buffer);
  const size = Buffer.alloc(4);
  size.writeUInt32BE(bytes.length);
  return Buffer.concat([size, bytes]);
}

function reader(data: Buffer): (bytes: number) => Buffer {
  let at = 0;
  return (bytes) => {
    if (at + bytes > data.length) throw new RangeError('the file ends too early');
    at += bytes;
    return data.subarray(at - bytes, at);
  };
}

function length(read: (bytes: number) => Buffer): number {
  return read(4).readUInt32BE(0);
}
