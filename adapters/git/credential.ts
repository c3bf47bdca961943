import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { DomainError, invalidArgument } from '../../domain/errors.ts';
import { type GitUrl, serverOf } from '../../domain/git-source.ts';
import type { GitSetting } from './environment.ts';

/** What a caller gives for the server of one source. */
export type GitCredential =
  | { readonly kind: 'none' }
  | { readonly kind: 'https'; readonly username: string; readonly password: string }
  | {
      readonly kind: 'ssh';
      /** In a form that OpenSSH reads, without a passphrase. */
      readonly privateKey: string;
      readonly knownHosts: KnownHosts;
    };

/**
 * Which server keys are trusted: those that the caller gives, as lines of a `known_hosts` file; or the first one that
 * a server shows, which is kept in a file of the deployment (in a folder that exists) and must stay the same from then
 * on. The second trusts the network at the first connection.
 */
export type KnownHosts = { readonly lines: string } | { readonly learnIn: string };

/** What a credential becomes for git. Nothing of it is on a command line. */
export interface GivenCredential {
  readonly settings: readonly GitSetting[];
  /** Options of ssh; files that they name are in the work folder, or the one that learns. */
  readonly sshOptions: readonly string[];
  /** Texts that may be in no line that leaves the adapter. */
  readonly secrets: readonly string[];
}

const NOTHING: GivenCredential = { settings: [], sshOptions: [], secrets: [] };

/** Shorter names say who, longer ones are tokens that stand where a name would. */
const TOKEN_LENGTH = 20;

/**
 * Makes a credential ready for one server: by HTTPS a header of requests to that server alone, by SSH a key file that
 * only this user may read and that goes with the work folder.
 *
 * @throws INVALID_ARGUMENT for one of the wrong kind or form; SOURCE_REFUSED for SSH without a key.
 */
export async function giveCredential(url: GitUrl, credential: GitCredential, work: string): Promise<GivenCredential> {
  if (credential.kind === 'none') {
    if (url.protocol === 'https') return NOTHING;
    throw new DomainError('SOURCE_REFUSED', `${url.text} cannot be read without a key`, {
      hint: 'Give the source a credential with an SSH key, or use its https address.',
    });
  }
  if (credential.kind !== url.protocol) {
    const allowed = url.protocol === 'https' ? 'a user name and a password or token' : 'an SSH key';
    throw invalidArgument('credential', `is for ${credential.kind}, the URL is ${url.protocol}`, allowed);
  }
  return credential.kind === 'https' ? asHeader(url, credential) : await asKeyFile(credential, work);
}

function asHeader(url: GitUrl, { username, password }: Extract<GitCredential, { kind: 'https' }>): GivenCredential {
  if (username.includes(':')) throw invalidArgument('credential.username', 'holds a colon', 'any other character');
  if (password === '') throw invalidArgument('credential.password', 'is empty', 'a password or a token');
  const encoded = Buffer.from(`${username}:${password}`).toString('base64');
  const tokens = username.length >= TOKEN_LENGTH ? [username] : [];
  return {
    settings: [[`http.https://${serverOf(url)}/.extraHeader`, `Authorization: Basic ${encoded}`]],
    sshOptions: [],
    secrets: [encoded, password, encodeURIComponent(password), ...tokens],
  };
}

async function asKeyFile(
  { privateKey, knownHosts }: Extract<GitCredential, { kind: 'ssh' }>,
  work: string,
): Promise<GivenCredential> {
  if (!/^-----BEGIN [A-Z ]*PRIVATE KEY-----\s/.test(privateKey.trimStart())) {
    throw invalidArgument('credential.private_key', 'is no private key', 'a key file as ssh-keygen writes it');
  }
  const keyFile = join(work, 'key');
  // OpenSSH takes no carriage returns, and no last line without its end.
  await writeFile(keyFile, `${privateKey.trim().replaceAll('\r\n', '\n')}\n`, { mode: 0o600, flag: 'wx' });
  const areGiven = 'lines' in knownHosts;
  const hostsFile = areGiven ? join(work, 'known_hosts') : knownHosts.learnIn;
  if (areGiven) await writeFile(hostsFile, `${knownHosts.lines}\n`, { mode: 0o600, flag: 'wx' });
  return {
    settings: [],
    sshOptions: [
      `IdentityFile=${quoted(keyFile)}`,
      `UserKnownHostsFile=${quoted(hostsFile)}`,
      `StrictHostKeyChecking=${areGiven ? 'yes' : 'accept-new'}`,
    ],
    secrets: [privateKey],
  };
}

/** A path in an option of ssh, which has quotes, `%` sequences and `${…}` of its own. */
function quoted(path: string): string {
  if (!/["\n\\]|\$\{/.test(path)) return `"${path.replaceAll('%', '%%')}"`;
  throw new DomainError('CONFIGURATION', `the folder of Git sources has a name that ssh cannot be given: ${path}`);
}
