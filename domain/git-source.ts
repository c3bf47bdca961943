import { invalidArgument } from './errors.ts';
import { checkHost } from './public-host.ts';

const MAX_URL_LENGTH = 1024;
const MAX_REF_LENGTH = 255;
const MAX_SUBDIRECTORY_LENGTH = 255;

const DEFAULT_PORT = { https: 443, ssh: 22 } as const;

const HTTPS = /^https:\/\/(?<host>[^/@:]+)(?::(?<port>[1-9]\d{0,4}))?(?<path>\/.*)$/;
const SSH = /^ssh:\/\/(?:(?<user>[^/@:]+)@)?(?<host>[^/@:]+)(?::(?<port>[1-9]\d{0,4}))?(?<path>\/.*)$/;
const SCP = /^(?<user>[^/@:]+)@(?<host>[^/@:]+):(?<path>.+)$/;

const USER = /^[A-Za-z0-9_][A-Za-z0-9._-]{0,63}$/;

/** One name of a repository's path: a space only as `%20`, no other escapes, no leading dash. */
const PATH_SEGMENT = /^(?:[A-Za-z0-9_.~+]|%20)(?:[A-Za-z0-9_.~+-]|%20)*$/;

/** One name between the slashes of a ref: what `git check-ref-format` allows and no shell or revision syntax knows. */
const REF_COMPONENT = /^[\p{L}\p{N}_+@#=,-][\p{L}\p{N}_+@#=,.-]*$/u;

/** Bounds of one fetch: what a repository may cost the platform. */
export interface GitLimits {
  /** Bytes received from servers, submodules included. */
  readonly downloadBytes: number;
  /** Bytes of the files of the commit. */
  readonly bytes: number;
  /** Files, links and folders of the commit. */
  readonly entries: number;
  readonly submodules: number;
  readonly timeoutMs: number;
}

/** As many files as an uploaded context may have; the download may hold more, since an old server sends all history. */
export const GIT_LIMITS: GitLimits = {
  downloadBytes: 1024 ** 3,
  bytes: 512 * 1024 ** 2,
  entries: 100_000,
  submodules: 50,
  timeoutMs: 15 * 60_000,
};

/** Which Git servers a caller may name although they look like a part of the platform's own network. */
export interface GitRules {
  /** `host`, or `host:port` for a port that is not the protocol's own; lower case. */
  readonly allowedHosts: readonly string[];
}

/** An address of a repository that may be connected to, in its one spelling. */
export interface GitUrl {
  readonly protocol: 'https' | 'ssh';
  /** Who signs in by SSH; `git` unless the URL says otherwise. */
  readonly user: string;
  /** Lower case. */
  readonly host: string;
  readonly port: number;
  /** From the server's root when it begins with `/`, else from the SSH user's home. */
  readonly path: string;
  /** What git is given: nothing of it begins with a dash, and it holds no secret. */
  readonly text: string;
}

/**
 * Checks the address of a repository: `https://host[:port]/path`, `ssh://[user@]host[:port]/path` or
 * `user@host:path`, and nothing else of what git understands.
 *
 * @throws INVALID_ARGUMENT with the field. What stands where a password would is never shown.
 */
export function parseGitUrl(field: string, url: string, rules: GitRules): GitUrl {
  const allowed = 'https://host/path, ssh://user@host/path or user@host:path';
  if (url.length > MAX_URL_LENGTH) {
    throw invalidArgument(field, `${url.length} characters`, `at most ${MAX_URL_LENGTH} characters`);
  }
  if (/^https:\/\/[^/]*@/.test(url)) {
    throw invalidArgument(field, 'holds a user name or a password', 'a URL without them; they belong to a credential');
  }
  const protocol = url.startsWith('https://') ? 'https' : 'ssh';
  const match = HTTPS.exec(url) ?? SSH.exec(url) ?? (url.includes('://') ? null : SCP.exec(url));
  const { user = 'git', host = '', port: givenPort, path = '' } = match?.groups ?? {};
  if (!match || !USER.test(user)) throw invalidArgument(field, `found ${withoutLogin(url)}`, allowed);
  const port = givenPort === undefined ? DEFAULT_PORT[protocol] : Number(givenPort);
  if (port > 65_535) throw invalidArgument(field, `found port ${port}`, '1 to 65535');
  checkHost(field, { kind: 'host', host: serverOf({ protocol, host, port }), allowed: rules.allowedHosts });
  return spelled({ protocol, user, host: host.toLowerCase(), port, path: parsePath(field, path) });
}

/** Whether two addresses lead to the same server by the same protocol: what a credential for one may be shown to. */
export function isSameServer(one: GitUrl, other: GitUrl): boolean {
  return one.protocol === other.protocol && one.host === other.host && one.port === other.port;
}

/**
 * Whether a text that came from outside, a webhook for example, names this repository, by whatever protocol.
 *
 * Hosts are compared without case, paths with it and without `.git` at their end; ports and users are not looked at,
 * since one server answers HTTPS and SSH on different ones.
 */
export function namesRepository(text: string, repository: GitUrl): boolean {
  const { host, path } = (HTTPS.exec(text) ?? SSH.exec(text) ?? SCP.exec(text))?.groups ?? {};
  return host?.toLowerCase() === repository.host && barePath(path ?? '') === barePath(repository.path);
}

/** The server of an address as the operator allows it: `host`, or `host:port` for a port that is not its own. */
export function serverOf({ protocol, host, port }: Pick<GitUrl, 'protocol' | 'host' | 'port'>): string {
  return port === DEFAULT_PORT[protocol] ? host : `${host}:${port}`;
}

/** Puts an address together; its parts were checked. */
function spelled(parts: Omit<GitUrl, 'text'>): GitUrl {
  const { protocol, user, host, path } = parts;
  const server = serverOf(parts);
  if (protocol === 'https') return { ...parts, text: `https://${server}${path}` };
  return { ...parts, text: path.startsWith('/') ? `ssh://${user}@${server}${path}` : `${user}@${host}:${path}` };
}

function parsePath(field: string, path: string): string {
  const trimmed = path.replace(/\/$/, '');
  const segments = trimmed.replace(/^\//, '').split('/');
  const isGood = segments.every((name) => PATH_SEGMENT.test(name) && name !== '.' && name !== '..');
  if (isGood) return trimmed;
  throw invalidArgument(
    field,
    `found path ${withoutLogin(path)}`,
    'names of letters, digits and . _ ~ + - %20 between slashes',
  );
}

/** A repository whatever its protocol and spelling: `host/path`, or `host:port/path`, without `.git`. */
export function repositoryOf(url: GitUrl): string {
  return `${serverOf(url)}/${barePath(url.path)}`;
}

function barePath(path: string): string {
  return path.replace(/^\/|\/$/g, '').replace(/\.git$/, '');
}

/**
 * Checks what to build: a branch, a tag, a full name such as `refs/heads/main`, `HEAD` for the server's default
 * branch, or a whole commit id.
 *
 * @throws INVALID_ARGUMENT with the field.
 */
export function parseGitRef(field: string, ref: string): string {
  const components = ref.split('/');
  const isGood =
    ref.length <= MAX_REF_LENGTH &&
    !ref.startsWith('-') &&
    !ref.startsWith('@') &&
    !ref.includes('..') &&
    components.every((name) => REF_COMPONENT.test(name) && !name.endsWith('.') && !name.endsWith('.lock'));
  if (isGood) return ref;
  throw invalidArgument(
    field,
    `found ${shown(ref)}`,
    `a branch, a tag or a commit: letters, digits and . _ + @ # = , - between slashes, at most ${MAX_REF_LENGTH}`,
  );
}

/** Whether a text is a whole commit id, SHA-1 or SHA-256; the id of nothing, all zeros, is none. */
export function isCommitId(text: string): boolean {
  return /^(?:[0-9a-f]{40}|[0-9a-f]{64})$/.test(text) && !/^0+$/.test(text);
}

/** Checks a commit id. @throws INVALID_ARGUMENT with the field. */
export function parseCommit(field: string, commit: string): string {
  if (isCommitId(commit)) return commit;
  throw invalidArgument(field, `found ${shown(commit)}`, '40 or 64 lower-case hex digits, the whole commit id');
}

/**
 * Checks the folder of a repository that is built; empty means all of it.
 *
 * @throws INVALID_ARGUMENT with the field.
 */
export function parseSubdirectory(field: string, path: string): string {
  if (path === '') return '';
  const names = path.replace(/\/$/, '').split('/');
  const isGood =
    path.length <= MAX_SUBDIRECTORY_LENGTH &&
    !/[\p{Cc}\p{Cf}\p{Cs}\\]/u.test(path) &&
    names.every((name) => name !== '' && name !== '.' && name !== '..' && name.toLowerCase() !== '.git');
  if (isGood) return names.join('/');
  throw invalidArgument(field, `found ${shown(path)}`, 'a relative path inside the repository, without . and ..');
}

/** A refused URL may hold a password anywhere before its last @. */
function withoutLogin(url: string): string {
  const at = url.lastIndexOf('@');
  const isLogin = at >= 0 && /[:/]/.test(url.slice(0, at));
  return shown(isLogin ? `…${url.slice(at)}` : url);
}

function shown(text: string): string {
  return JSON.stringify(text.length > 80 ? `${text.slice(0, 80)}…` : text);
}
