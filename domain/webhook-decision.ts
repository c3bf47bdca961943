import { repositoryOfSpec } from './compose-origin.ts';
import { type GitUrl, isCommitId, namesRepository } from './git-source.ts';
import type { DeploymentSpec, GitSource } from './spec.ts';
import type { WebhookEvent } from './webhook-events.ts';

/** What a genuine event means for a deployment. */
export type WebhookDecision =
  | {
      readonly kind: 'deploy';
      /** Who pushed what, for the history. */
      readonly reason: string;
    }
  | {
      readonly kind: 'nothing';
      /** Why, for whoever looks at the deliveries. */
      readonly reason: string;
    };

/** Digits of a commit id that people read. */
const SHOWN_DIGITS = 7;

const BRANCHES = 'refs/heads/';

/** The source that a webhook may be about. */
export function gitSourceOf(spec: DeploymentSpec): Pick<GitSource, 'url' | 'ref'> | undefined {
  return repositoryOfSpec(spec);
}

/**
 * Decides whether an event makes a deployment look at its repository again: a push to the very branch that its source
 * names, of the very repository. What is pinned to a commit or a tag is never moved by a push.
 *
 * Which commit is built, the repository says and not the event.
 */
export function decideOnEvent(
  event: WebhookEvent,
  source: Pick<GitSource, 'ref'> | undefined,
  repository: GitUrl | undefined,
): WebhookDecision {
  if (event.kind === 'ping') return nothing('the webhook works');
  if (event.kind !== 'push') return nothing('only pushes deploy');
  if (!source || !repository) return nothing('the deployment does not come from a Git repository');
  if (!event.repositoryUrls.some((url) => namesRepository(url, repository))) {
    return nothing('the push is to another repository than the one of the deployment');
  }
  if (isCommitId(source.ref)) return nothing('the deployment stays at one commit');
  if (event.isDeletion) return nothing('a branch or tag was deleted');
  const branch = event.ref?.startsWith(BRANCHES) ? event.ref.slice(BRANCHES.length) : undefined;
  if (branch === undefined) return nothing('only pushes to a branch deploy');
  const wanted = source.ref === 'HEAD' ? event.defaultBranch : source.ref.replace(BRANCHES, '');
  if (branch !== wanted) return nothing(`the push is to another branch than ${wanted ?? 'the default one'}`);
  const who = event.pusher === null ? '' : ` by ${event.pusher}`;
  return { kind: 'deploy', reason: `push of ${(event.commit ?? '').slice(0, SHOWN_DIGITS)} to ${branch}${who}` };
}

function nothing(reason: string): WebhookDecision {
  return { kind: 'nothing', reason };
}
