import { invalidArgument } from './errors.ts';
import { isCommitId } from './git-source.ts';

/** Which kind of server sent a webhook. Forgejo speaks as Gitea. */
export type WebhookProvider = 'github' | 'gitlab' | 'gitea';

/** What a webhook says happened, whoever sent it. A claim: which commit a branch is at, only its server knows. */
export interface WebhookEvent {
  /** `ignored` is genuine and means nothing to this platform. */
  readonly kind: 'push' | 'ping' | 'ignored';
  /** Addresses of the repository, HTTPS and SSH, as its server writes them; not checked. */
  readonly repositoryUrls: readonly string[];
  /** Full name of the ref that was pushed, such as `refs/heads/main`; `null` unless it is a push. */
  readonly ref: string | null;
  /** The commit that the ref is at now, behind a tag the one it is of; `null` for a deletion and what is no push. */
  readonly commit: string | null;
  readonly isDeletion: boolean;
  /** The repository's default branch; `null` where the server does not say. */
  readonly defaultBranch: string | null;
  /** Who pushed, by the server's own name for them; for people only. */
  readonly pusher: string | null;
}

/** Events that are a push, and those that only ask whether somebody listens; everything else is ignored. */
const KIND_OF_EVENT: Record<WebhookProvider, Readonly<Record<string, 'push' | 'ping'>>> = {
  github: { push: 'push', ping: 'ping' },
  gitlab: { 'Push Hook': 'push', 'Tag Push Hook': 'push' },
  gitea: { push: 'push' },
};

const MAX_URL_LENGTH = 1024;
const MAX_REF_LENGTH = 1024;
const MAX_PUSHER_LENGTH = 100;

type Fields = Readonly<Record<string, unknown>>;

/**
 * Reads the payload of a webhook whose signature was verified.
 *
 * Fields are taken as the public documentation of each server has them; of a push without a ref or a commit nothing is
 * guessed.
 *
 * @throws INVALID_ARGUMENT naming the field of the payload.
 */
export function readWebhookEvent(provider: WebhookProvider, event: string, payload: unknown): WebhookEvent {
  if (!isFields(payload)) throw invalidArgument('body', 'found no JSON object', 'the payload of a webhook');
  const events = KIND_OF_EVENT[provider];
  const kind = Object.hasOwn(events, event) ? (events[event] ?? 'ignored') : 'ignored';
  const repositoryUrls = urlsOf(provider, payload);
  const defaultBranch = defaultBranchOf(provider, payload);
  if (kind !== 'push') {
    return { kind, repositoryUrls, defaultBranch, ref: null, commit: null, isDeletion: false, pusher: null };
  }
  if (repositoryUrls.length === 0) throw invalidArgument('body.repository', 'names no URL', 'the URLs of a repository');
  const after = text(payload, 'after');
  const isDeletion = /^0{40}(?:0{24})?$/.test(after) || payload.deleted === true;
  return {
    ...{ kind, repositoryUrls, isDeletion, defaultBranch },
    ref: refOf(payload),
    commit: isDeletion ? null : commitOf(provider, payload, after),
    pusher: pusherOf(provider, payload),
  };
}

function urlsOf(provider: WebhookProvider, payload: Fields): readonly string[] {
  const repository = fields(payload, provider === 'gitlab' ? 'project' : 'repository');
  const names = provider === 'gitlab' ? ['git_http_url', 'git_ssh_url'] : ['clone_url', 'ssh_url'];
  const urls = names.map((name) => text(repository, name));
  return urls.filter((url) => url !== '' && url.length <= MAX_URL_LENGTH);
}

function defaultBranchOf(provider: WebhookProvider, payload: Fields): string | null {
  const branch = text(fields(payload, provider === 'gitlab' ? 'project' : 'repository'), 'default_branch');
  return branch === '' || branch.length > MAX_REF_LENGTH ? null : branch;
}

function refOf(payload: Fields): string {
  const ref = text(payload, 'ref');
  if (/^refs\/[\x21-\x7e\x80-\u{10ffff}]+$/u.test(ref) && ref.length <= MAX_REF_LENGTH) return ref;
  throw invalidArgument('body.ref', `found ${JSON.stringify(ref.slice(0, 80))}`, 'a full ref such as refs/heads/main');
}

/** For an annotated tag `after` is the tag itself. */
function commitOf(provider: WebhookProvider, payload: Fields, after: string): string {
  const named = provider === 'gitlab' ? text(payload, 'checkout_sha') : text(fields(payload, 'head_commit'), 'id');
  const commit = named || after;
  if (isCommitId(commit)) return commit;
  throw invalidArgument('body.after', `found ${JSON.stringify(commit.slice(0, 80))}`, 'a whole commit id');
}

function pusherOf(provider: WebhookProvider, payload: Fields): string | null {
  const pusher = fields(payload, 'pusher');
  const names: Record<WebhookProvider, readonly string[]> = {
    github: [text(pusher, 'name')],
    gitlab: [text(payload, 'user_username'), text(payload, 'user_name')],
    gitea: [text(pusher, 'username'), text(pusher, 'login')],
  };
  const name = names[provider].find((one) => one !== '') ?? '';
  return name.replace(/[\p{Cc}\p{Cf}\p{Cs}]/gu, '').slice(0, MAX_PUSHER_LENGTH) || null;
}

/** A field that is an object of its own; empty when it is not. */
function fields(of: Fields, name: string): Fields {
  const value = Object.hasOwn(of, name) ? of[name] : undefined;
  return isFields(value) ? value : {};
}

/** A field that is a text of its own; empty when it is not. */
function text(of: Fields, name: string): string {
  const value = Object.hasOwn(of, name) ? of[name] : undefined;
  return typeof value === 'string' ? value : '';
}

function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
