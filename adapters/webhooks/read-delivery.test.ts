import { createHmac } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { MAX_WEBHOOK_BYTES, readDelivery, type WebhookDelivery } from './read-delivery.ts';

const SECRET = 'correct horse battery staple';
const GITHUB = ['https://github.com/acme/hello.git', 'git@github.com:acme/hello.git'];
const GITLAB = ['https://gitlab.example.com/mike/diaspora.git', 'git@gitlab.example.com:mike/diaspora.git'];
const HELLO = '0d1a26e67d8f5eaf1f6ba5c57fc3c7d91ac0fd1c';
const README = 'da1560886d4f094c3e6c9ef40349f7d38b5d27d7';

type Provider = 'github' | 'gitlab' | 'gitea' | 'forgejo';

function hmac(body: Uint8Array, { secret = SECRET, algorithm = 'sha256' } = {}): string {
  return createHmac(algorithm, secret).update(body).digest('hex');
}

function headersOf(provider: Provider, event: string, body: Uint8Array): Record<string, string> {
  const id = 'e05eb1f2-fbc7-11e3-8e1d-423f213c5718';
  const signature = hmac(body);
  // Gitea and Forgejo also send what GitHub sends, for receivers that know no other.
  const github = {
    'x-github-event': event,
    'x-github-delivery': id,
    'x-hub-signature': `sha1=${hmac(body, { algorithm: 'sha1' })}`,
    'x-hub-signature-256': `sha256=${signature}`,
  };
  const gitea = { ...github, 'x-gitea-event': event, 'x-gitea-delivery': id, 'x-gitea-signature': signature };
  const headers: Record<Provider, Record<string, string>> = {
    github,
    gitea,
    forgejo: { ...github, 'x-forgejo-event': event, 'x-forgejo-delivery': id, 'x-forgejo-signature': signature },
    gitlab: { 'x-gitlab-event': event, 'x-gitlab-event-uuid': id, 'x-gitlab-token': SECRET },
  };
  return { 'content-type': 'application/json', 'user-agent': 'test', ...headers[provider] };
}

function aDelivery(
  provider: Provider,
  event: string,
  payload: string,
): WebhookDelivery & { headers: Record<string, string> } {
  const body = readFileSync(join(import.meta.dirname, 'fixtures', `${payload}.json`));
  return { headers: headersOf(provider, event, body), body, secret: SECRET };
}

function genuine(provider: Provider, event: string, payload: unknown): WebhookDelivery {
  const body = Buffer.from(typeof payload === 'string' ? payload : JSON.stringify(payload));
  return { headers: headersOf(provider, event, body), body, secret: SECRET };
}

const refused = (code: string) => expect.objectContaining({ code });

describe('a webhook', () => {
  it.each<[Provider, string, string, object]>([
    [
      'github',
      'push',
      'github-push',
      { kind: 'push', ref: 'refs/heads/main', commit: HELLO, pusher: 'octavia', repositoryUrls: GITHUB },
    ],
    ['github', 'push', 'github-push-tag', { kind: 'push', ref: 'refs/tags/v1.0.0', commit: HELLO, isDeletion: false }],
    ['github', 'push', 'github-push-deletion', { kind: 'push', ref: 'refs/heads/old', commit: null, isDeletion: true }],
    ['github', 'ping', 'github-ping', { kind: 'ping', ref: null, commit: null, pusher: null, repositoryUrls: GITHUB }],
    ['github', 'release', 'github-push', { kind: 'ignored', ref: null, commit: null }],
    ['github', 'constructor', 'github-push', { kind: 'ignored' }],
    [
      'gitlab',
      'Push Hook',
      'gitlab-push',
      { kind: 'push', ref: 'refs/heads/master', commit: README, pusher: 'joan', repositoryUrls: GITLAB },
    ],
    [
      'gitlab',
      'Tag Push Hook',
      'gitlab-tag-push',
      { kind: 'push', ref: 'refs/tags/v1.0.0', commit: README, pusher: 'Joan Example' },
    ],
    [
      'gitlab',
      'Push Hook',
      'gitlab-push-deletion',
      { kind: 'push', ref: 'refs/heads/old', commit: null, isDeletion: true },
    ],
    ['gitlab', 'Merge Request Hook', 'gitlab-push', { kind: 'ignored' }],
    [
      'gitea',
      'push',
      'gitea-push',
      { kind: 'push', ref: 'refs/heads/develop', commit: 'bffeb74224043ba2feb48d137756c8a9331c449a', pusher: 'gitea' },
    ],
    [
      'forgejo',
      'push',
      'gitea-push',
      {
        kind: 'push',
        repositoryUrls: [
          'https://gitea.example.com/gitea/webhooks.git',
          'ssh://git@gitea.example.com:2222/gitea/webhooks.git',
        ],
      },
    ],
    ['gitea', 'delete', 'gitea-push', { kind: 'ignored' }],
  ])('of %s, event %s, %s, is read', (provider, event, payload, expected) => {
    const read = readDelivery(aDelivery(provider, event, payload));
    expect(read).toMatchObject({ ...expected, deliveryId: 'e05eb1f2-fbc7-11e3-8e1d-423f213c5718' });
    expect(read.provider).toBe(provider === 'forgejo' ? 'gitea' : provider);
  });

  it('of GitLab is known by its own id where it has one, since events share the other', () => {
    const delivery = aDelivery('gitlab', 'Push Hook', 'gitlab-push');
    delivery.headers['idempotency-key'] = 'f5e5f430-f57b-4e6e-9fac-d9128cd7232f';
    expect(readDelivery(delivery).deliveryId).toBe('f5e5f430-f57b-4e6e-9fac-d9128cd7232f');
  });

  it.each<[string, Provider, (headers: Record<string, string>, body: Uint8Array) => void]>([
    ['no signature', 'github', (headers) => delete headers['x-hub-signature-256']],
    ['an empty signature', 'github', (headers) => Object.assign(headers, { 'x-hub-signature-256': '' })],
    [
      'a SHA-1 signature',
      'github',
      (headers) => Object.assign(headers, { 'x-hub-signature-256': headers['x-hub-signature'] }),
    ],
    [
      'a SHA-1 digest',
      'github',
      (headers, body) =>
        Object.assign(headers, { 'x-hub-signature-256': `sha256=${hmac(body, { algorithm: 'sha1' })}` }),
    ],
    [
      'a SHA-512 digest',
      'github',
      (headers, body) =>
        Object.assign(headers, { 'x-hub-signature-256': `sha256=${hmac(body, { algorithm: 'sha512' })}` }),
    ],
    [
      'a truncated signature',
      'github',
      (headers, body) => Object.assign(headers, { 'x-hub-signature-256': `sha256=${hmac(body).slice(0, 62)}` }),
    ],
    [
      'a signature with more behind it',
      'github',
      (headers, body) => Object.assign(headers, { 'x-hub-signature-256': `sha256=${hmac(body)}00` }),
    ],
    [
      'a signature in upper case',
      'github',
      (headers, body) => Object.assign(headers, { 'x-hub-signature-256': `sha256=${hmac(body).toUpperCase()}` }),
    ],
    [
      'a signature without its algorithm',
      'github',
      (headers, body) => Object.assign(headers, { 'x-hub-signature-256': hmac(body) }),
    ],
    [
      'two signatures',
      'github',
      (headers, body) => Object.assign(headers, { 'x-hub-signature-256': [`sha256=${hmac(body)}`, 'x'] }),
    ],
    [
      "another secret's signature",
      'github',
      (headers, body) => Object.assign(headers, { 'x-hub-signature-256': `sha256=${hmac(body, { secret: 'other' })}` }),
    ],
    ['no signature but that of GitHub', 'gitea', (headers) => delete headers['x-gitea-signature']],
    ['no signature but that of GitHub', 'forgejo', (headers) => delete headers['x-forgejo-signature']],
    [
      'a signature in the form of GitHub',
      'gitea',
      (headers, body) => Object.assign(headers, { 'x-gitea-signature': `sha256=${hmac(body)}` }),
    ],
    [
      "another secret's signature",
      'gitea',
      (headers, body) => Object.assign(headers, { 'x-gitea-signature': hmac(body, { secret: 'other' }) }),
    ],
    ['no token', 'gitlab', (headers) => delete headers['x-gitlab-token']],
    ['another token', 'gitlab', (headers) => Object.assign(headers, { 'x-gitlab-token': 'other' })],
    [
      'the beginning of the token',
      'gitlab',
      (headers) => Object.assign(headers, { 'x-gitlab-token': SECRET.slice(0, -1) }),
    ],
    ['the token and more', 'gitlab', (headers) => Object.assign(headers, { 'x-gitlab-token': `${SECRET} ` })],
    [
      'a signature in place of the token',
      'gitlab',
      (headers, body) => {
        delete headers['x-gitlab-token'];
        headers['x-hub-signature-256'] = `sha256=${hmac(body)}`;
      },
    ],
  ])('with %s of %s is refused, whatever it says', (_, provider, change) => {
    const delivery =
      provider === 'gitlab'
        ? aDelivery(provider, 'Push Hook', 'gitlab-push')
        : aDelivery(provider, 'push', 'gitea-push');
    change(delivery.headers, delivery.body);
    expect(() => readDelivery(delivery)).toThrow(refused('UNAUTHENTICATED'));
    expect(() => readDelivery({ ...delivery, body: Buffer.from('no json') })).toThrow(refused('UNAUTHENTICATED'));
  });

  it('whose body was changed is refused', () => {
    const delivery = aDelivery('github', 'push', 'github-push');
    const body = Buffer.from(delivery.body);
    body[body.length - 3] = 0x20;
    expect(() => readDelivery({ ...delivery, body })).toThrow(refused('UNAUTHENTICATED'));
  });

  it('is refused by an end without a secret, even when it is signed with none', () => {
    const body = Buffer.from('{}');
    const headers = {
      ...headersOf('github', 'ping', body),
      'x-hub-signature-256': `sha256=${hmac(body, { secret: '' })}`,
    };
    expect(() => readDelivery({ headers, body, secret: '' })).toThrow(refused('UNAUTHENTICATED'));
  });

  it.each<[string, (headers: Record<string, string>) => void]>([
    ['no event', (headers) => delete headers['x-github-event']],
    ['no delivery id', (headers) => delete headers['x-github-delivery']],
    ['a delivery id that is none', (headers) => Object.assign(headers, { 'x-github-delivery': 'a\r\nb' })],
    ['a delivery id without end', (headers) => Object.assign(headers, { 'x-github-delivery': 'a'.repeat(101) })],
    ['no content type', (headers) => delete headers['content-type']],
    [
      'a form as its content',
      (headers) => Object.assign(headers, { 'content-type': 'application/x-www-form-urlencoded' }),
    ],
  ])('with %s is refused', (_, change) => {
    const delivery = aDelivery('github', 'push', 'github-push');
    change(delivery.headers);
    expect(() => readDelivery(delivery)).toThrow(refused('INVALID_ARGUMENT'));
  });

  it.each<[string, unknown]>([
    ...['', 'payload=%7B%7D', '{', '[]', 'null', '"push"', '1', '{}'].map((body): [string, unknown] => [body, body]),
    ['lists a thousand deep', '['.repeat(1000)],
    ['no repository', { ref: 'refs/heads/main', after: HELLO }],
    ['a repository without URLs', { ref: 'refs/heads/main', after: HELLO, repository: {} }],
    ['a URL without end', { ref: 'refs/heads/main', after: HELLO, repository: { clone_url: 'x'.repeat(2000) } }],
    ['no ref', { after: HELLO, repository: { clone_url: 'https://x/y' } }],
    ['a ref that is no text', { ref: ['refs/heads/main'], after: HELLO, repository: { clone_url: 'https://x/y' } }],
    ['a short ref', { ref: 'main', after: HELLO, repository: { clone_url: 'https://x/y' } }],
    ['a ref of two lines', { ref: 'refs/heads/a\nb', after: HELLO, repository: { clone_url: 'https://x/y' } }],
    ['no commit', { ref: 'refs/heads/main', repository: { clone_url: 'https://x/y' } }],
    ['a short commit', { ref: 'refs/heads/main', after: 'abc1234', repository: { clone_url: 'https://x/y' } }],
  ])('with the genuine body %s is refused', (_, payload) => {
    expect(() => readDelivery(genuine('github', 'push', payload))).toThrow(refused('INVALID_ARGUMENT'));
  });

  it('whose body is no UTF-8, or larger than allowed, is refused', () => {
    const broken = Buffer.from([0x22, 0xff, 0xfe, 0x22]);
    expect(() => readDelivery({ headers: headersOf('github', 'push', broken), body: broken, secret: SECRET })).toThrow(
      refused('INVALID_ARGUMENT'),
    );
    const large = { ...genuine('github', 'push', '{}'), body: Buffer.alloc(MAX_WEBHOOK_BYTES + 1) };
    expect(() => readDelivery(large)).toThrow(refused('INVALID_ARGUMENT'));
  });

  it('names its pusher without what a terminal obeys', () => {
    const payload = {
      ref: 'refs/heads/main',
      after: HELLO,
      repository: { clone_url: 'https://x/y' },
      pusher: { name: `\x1b]0;${'x'.repeat(500)}` },
    };
    const { pusher } = readDelivery(genuine('github', 'push', payload));
    expect(pusher).toBe(`]0;${'x'.repeat(97)}`);
  });

  it('reads only what a payload has itself', () => {
    const payload = '{"__proto__":{"ref":"refs/heads/x"},"after":"a","repository":{"clone_url":"https://x/y"}}';
    expect(() => readDelivery(genuine('github', 'push', payload))).toThrow('body.ref');
  });
});
