import { invalidArgument } from './errors.ts';
import { type GitRules, type GitUrl, parseGitUrl, repositoryOf, serverOf } from './git-source.ts';

/** A credential for a Git server, in the clear. Never logged, never stored, never sent but in an envelope. */
export type StoredGitCredential =
  | { readonly kind: 'https'; readonly username: string; readonly password: string }
  | {
      readonly kind: 'ssh';
      readonly privateKey: string;
      /** Lines of a `known_hosts` file; empty: the first key that is seen is remembered. */
      readonly knownHosts: string;
    };

/** What credentials may be for, that count for a repository: the first one that there is wins. */
export function credentialTargets(url: GitUrl): readonly [repository: string, server: string] {
  return [repositoryOf(url), serverOf(url)];
}

/**
 * Reads what a credential is for: a server (`github.com`), one of its repositories (`github.com/acme/shop`), or an
 * address to clone from, which stands for its repository.
 *
 * @throws INVALID_ARGUMENT with the field, also for servers that no source may name.
 */
export function parseCredentialTarget(field: string, target: string, rules: GitRules): string {
  if (target.includes('://') || target.includes('@')) return repositoryOf(parseGitUrl(field, target, rules));
  const isServer = !target.replace(/\/$/, '').includes('/');
  const url = parseGitUrl(field, isServer ? `https://${target.replace(/\/$/, '')}/x` : `https://${target}`, rules);
  return isServer ? serverOf(url) : repositoryOf(url);
}

const MAX_KNOWN_HOSTS = 65_536;

/** Checks lines of a `known_hosts` file. @throws INVALID_ARGUMENT with the field. */
export function parseKnownHosts(field: string, text: string): string {
  const lines = text.replaceAll('\r\n', '\n').trim();
  if (lines.length > MAX_KNOWN_HOSTS) {
    throw invalidArgument(field, `${lines.length} characters`, `at most ${MAX_KNOWN_HOSTS}`);
  }
  const wrong = lines
    .split('\n')
    .findIndex((line) => line !== '' && !/^(?:#|[\x21-\x7e]+(?: [\x21-\x7e]+){2,})/.test(line));
  if (wrong < 0 || lines === '') return lines;
  throw invalidArgument(field, `line ${wrong + 1} is none`, 'lines as ssh-keyscan prints them');
}
