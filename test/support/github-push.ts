import { createHmac, randomUUID } from 'node:crypto';

/** A push as GitHub tells of it. */
export interface GitHubPush {
  readonly secret: string;
  readonly url: string;
  readonly commit?: string;
  readonly ref?: string;
  readonly deliveryId?: string;
  readonly event?: string;
}

/** A request with which GitHub would deliver it, signed. */
export function gitHubPush({ secret, url, ...push }: GitHubPush) {
  const { commit = 'a'.repeat(40), ref = 'refs/heads/main', deliveryId = randomUUID(), event = 'push' } = push;
  const repository = { clone_url: url, default_branch: 'main' };
  const body = JSON.stringify({
    ref,
    after: commit,
    head_commit: { id: commit },
    repository,
    pusher: { name: 'alice' },
  });
  const signature = createHmac('sha256', secret).update(body).digest('hex');
  const headers = {
    'content-type': 'application/json',
    'x-github-event': event,
    'x-github-delivery': deliveryId,
    'x-hub-signature-256': `sha256=${signature}`,
  };
  return { method: 'POST', headers, body } as const;
}
