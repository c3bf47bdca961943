import { isIP } from 'node:net';
import { join } from 'node:path';
import { DomainError } from '../../domain/errors.ts';
import { type GitRules, type GitUrl, serverOf } from '../../domain/git-source.ts';
import { findCheckedAddresses, type Lookup } from './checked-address.ts';
import { type GitCredential, giveCredential } from './credential.ts';
import type { GitSetting, GitWorld } from './environment.ts';
import type { GitPrograms } from './programs.ts';

/** How servers are reached: the same for all sources of this process. */
export interface RemoteOptions {
  readonly programs: GitPrograms;
  readonly rules: GitRules;
  readonly lookup: Lookup;
  /** Certificates that HTTPS servers are checked against; the machine's own when absent. */
  readonly caFile: string | undefined;
}

/** A repository on a server whose address was checked, ready to be asked. */
export interface Remote {
  readonly url: GitUrl;
  readonly world: GitWorld;
  /** Texts that may be in no line that leaves the adapter: the credential, and where this machine works. */
  readonly secrets: readonly string[];
}

const SSH_PROGRAM = join(import.meta.dirname, 'ssh-program.ts');

/** Options of ssh that hold for every connection: nothing of the user's, nobody is asked, nothing is forwarded. */
const SSH_OPTIONS = [
  'BatchMode=yes',
  'IdentitiesOnly=yes',
  'IdentityAgent=none',
  'PreferredAuthentications=publickey',
  'GlobalKnownHostsFile=/dev/null',
  'CheckHostIP=no',
  'HashKnownHosts=no',
  'UpdateHostKeys=no',
  'ClearAllForwardings=yes',
  'ForwardAgent=no',
  'ForwardX11=no',
  'PermitLocalCommand=no',
  'ControlMaster=no',
  'ControlPath=none',
  'ProxyCommand=none',
  'CanonicalizeHostname=no',
  'ConnectTimeout=20',
  'ServerAliveInterval=15',
  'ServerAliveCountMax=3',
  'LogLevel=ERROR',
];

/**
 * Checks where a server is and makes the credential ready.
 *
 * Git is bound to the addresses that were checked: by HTTPS they are what curl resolves the name to, by SSH the first
 * is what ssh connects to, while certificates and host keys are still those of the name.
 */
export async function openRemote(
  options: RemoteOptions,
  source: { url: GitUrl; credential: GitCredential; work: string; signal: AbortSignal },
): Promise<Remote> {
  const { programs, rules, lookup, caFile } = options;
  const { url, credential, work, signal } = source;
  const given = await giveCredential(url, credential, work);
  const { settings, sshOptions } = given;
  const secrets = [...given.secrets, work];
  const isAllowed = rules.allowedHosts.includes(serverOf(url));
  const addresses = await findCheckedAddresses(url.host, { isAllowed, lookup, signal });
  const world = { programs, work, protocol: url.protocol };
  if (url.protocol === 'https') {
    const variables: Record<string, string> = caFile === undefined ? {} : { GIT_SSL_CAINFO: caFile };
    return { url, secrets, world: { ...world, settings: [...settings, ...pinned(url, addresses)], variables } };
  }
  return { url, secrets, world: { ...world, variables: sshVariables(programs, url, addresses, sshOptions) } };
}

function pinned({ host, port }: GitUrl, addresses: readonly string[]): readonly GitSetting[] {
  if (isIP(host)) return [];
  const list = addresses.map((address) => (isIP(address) === 6 ? `[${address}]` : address)).join(',');
  return [['http.curloptResolve', `${host}:${port}:${list}`]];
}

function sshVariables(
  { ssh }: GitPrograms,
  { host, port }: GitUrl,
  [address = '']: readonly string[],
  given: readonly string[],
): Record<string, string> {
  if (ssh === undefined) {
    throw new DomainError('CONFIGURATION', 'sources over SSH need the program ssh, and there is none', {
      hint: 'Install openssh-client.',
    });
  }
  // Known hosts have other ports than ssh's own in brackets.
  const alias = port === 22 ? host : `[${host}]:${port}`;
  const options = [`HostName=${address}`, `HostKeyAlias=${alias}`, ...given, ...SSH_OPTIONS];
  return {
    GIT_SSH: SSH_PROGRAM,
    GIT_SSH_VARIANT: 'ssh',
    // Of the script itself; what it says would stand among ssh's own words.
    NODE_NO_WARNINGS: '1',
    OBIENTE_SSH_PROGRAM: ssh,
    OBIENTE_SSH_ARGUMENTS: JSON.stringify(['-F', '/dev/null', ...options.flatMap((option) => ['-o', option])]),
  };
}
