import { describe, expect, it } from 'vitest';
import { parseGitUrl } from './git-source.ts';
import { decideOnEvent } from './webhook-decision.ts';
import type { WebhookEvent } from './webhook-events.ts';

const COMMIT = '1a2b3c4d'.repeat(5);
const REPOSITORY = parseGitUrl('url', 'git@github.com:acme/shop.git', { allowedHosts: [] });

function aPush(changes: Partial<WebhookEvent> = {}): WebhookEvent {
  const repositoryUrls = ['https://github.com/acme/shop.git', 'git@github.com:acme/shop.git'];
  const push = { kind: 'push', ref: 'refs/heads/main', commit: COMMIT, isDeletion: false, pusher: 'alice' } as const;
  return { ...push, repositoryUrls, defaultBranch: 'main', ...changes };
}

const decide = (event: WebhookEvent, ref: string) => decideOnEvent(event, { ref }, REPOSITORY);

describe('a push', () => {
  it.each(['main', 'refs/heads/main', 'HEAD'])('to the branch of the source deploys it: %s', (ref) => {
    expect(decide(aPush(), ref)).toEqual({ kind: 'deploy', reason: 'push of 1a2b3c4 to main by alice' });
  });

  it('says nothing of a pusher whom nobody names', () => {
    expect(decide(aPush({ pusher: null }), 'main')).toMatchObject({ reason: 'push of 1a2b3c4 to main' });
  });

  it.each<[string, Partial<WebhookEvent>, string]>([
    ['another branch', {}, 'next'],
    ['a branch that only begins alike', { ref: 'refs/heads/main2' }, 'main'],
    ['another default branch', { defaultBranch: 'trunk' }, 'HEAD'],
    ['an unknown default branch', { defaultBranch: null }, 'HEAD'],
    ['a tag of the name', { ref: 'refs/tags/main' }, 'main'],
    ['a source that is a tag', { ref: 'refs/tags/v1' }, 'v1'],
    ['a source that is a full tag', {}, 'refs/tags/main'],
    ['a source that is a commit', {}, COMMIT],
    ['a branch called as the commit', { ref: `refs/heads/${COMMIT}` }, COMMIT],
    ['a deletion', { isDeletion: true, commit: null }, 'main'],
    ['another repository', { repositoryUrls: ['https://github.com/acme/shop2'] }, 'main'],
    ['another owner', { repositoryUrls: ['https://github.com/mallory/shop'] }, 'main'],
    ['another server', { repositoryUrls: ['https://github.example/acme/shop'] }, 'main'],
    ['no repository', { repositoryUrls: [] }, 'main'],
    ['a ping', { kind: 'ping' }, 'main'],
    ['an event of another kind', { kind: 'ignored' }, 'main'],
  ])('does nothing for %s', (_, changes, ref) => {
    expect(decide(aPush(changes), ref)).toMatchObject({ kind: 'nothing' });
  });

  it('does nothing for a deployment without a repository', () => {
    expect(decideOnEvent(aPush(), undefined, undefined)).toMatchObject({ kind: 'nothing' });
  });
});
