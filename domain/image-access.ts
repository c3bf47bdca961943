import type { PullPolicy } from './spec.ts';

/** What a node knows about an image that it has under the wanted name, before it asks anybody. */
export interface FoundImage {
  /**
   * `registry`: it was pulled. `made-here`: it never came from the registry of that name, whoever runs the node made
   * or loaded it. `unknown`: the daemon cannot tell, but no tenant's credential brought it under this name.
   */
  readonly origin: 'registry' | 'made-here' | 'unknown';
  /** Whether this tenant was given it before: it was given to everybody, or for the tenant's present credential. */
  readonly isGranted: boolean;
}

/**
 * Where a node gets an image: `use` what it has; `ask` the registry, as this tenant, and take what it answers with;
 * `ask-or-use`: ask, and where that fails use what it has.
 */
export type ImageStep = 'use' | 'ask' | 'ask-or-use';

/**
 * Decides whether an image that a node has may be used as it is.
 *
 * Present means present for this tenant: what another one's credential left on the node counts as absent until the
 * registry was asked with this tenant's own. What was made on the node is anybody's, and is looked for elsewhere only
 * when that is asked for in so many words: a stranger may own its name there.
 */
export function nextImageStep(found: FoundImage | undefined, wish: PullWish): ImageStep {
  if (!found) return 'ask';
  if (found.origin === 'made-here') return wish.policy === 'always' ? 'ask-or-use' : 'use';
  const asks = asksRegistry(wish);
  if (found.origin === 'unknown') return asks ? 'ask-or-use' : 'use';
  return found.isGranted && !asks ? 'use' : 'ask';
}

/** What a revision says about its image. */
export interface PullWish {
  /** `undefined`: by the tag, see {@link asksRegistry}. */
  readonly policy: PullPolicy | undefined;
  readonly tag: string;
  /** `sha256:…`; wins over the tag. */
  readonly digest: string | null;
}

/** Whether the registry is asked although the image is there. Kubernetes' rule: for `latest`, which is made to move. */
export function asksRegistry({ policy, tag, digest }: PullWish): boolean {
  if (policy !== undefined) return policy === 'always';
  return digest === null && tag === 'latest';
}
