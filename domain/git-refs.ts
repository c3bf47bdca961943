import { DomainError } from './errors.ts';

/** A ref as a server lists it; of an annotated tag there is a second one, `…^{}`, with what the tag is of. */
export interface RemoteRef {
  readonly name: string;
  readonly commit: string;
}

/** The names that a server is asked for to find out what `ref` is; see {@link chooseCommit}. */
export function namesToAsk(ref: string): readonly string[] {
  if (ref === 'HEAD') return ['HEAD'];
  const names = ref.startsWith('refs/') ? [ref] : [`refs/heads/${ref}`, `refs/tags/${ref}`];
  return names.flatMap((name) => [name, `${name}^{}`]);
}

/**
 * Chooses the commit that a branch, a tag or a full ref name stands for. Names match whole or not at all, and an
 * annotated tag stands for what it is of.
 *
 * A branch and a tag of one name are refused even while both are at the same commit: which one is meant decides what
 * the next push does.
 *
 * @throws SOURCE_REFUSED when there is no such ref, or more than one.
 */
export function chooseCommit(ref: string, refs: readonly RemoteRef[]): string {
  const asked = new Set(namesToAsk(ref));
  const found = new Map(refs.filter(({ name }) => asked.has(name)).map(({ name, commit }) => [name, commit]));
  const [name, ...others] = [...found.keys()].filter((one) => !one.endsWith('^{}'));
  if (name === undefined) throw missing(ref);
  if (others.length > 0) {
    throw new DomainError('SOURCE_REFUSED', `${ref} is both a branch and a tag of the repository`, {
      hint: `Name refs/heads/${ref} or refs/tags/${ref}.`,
    });
  }
  return found.get(`${name}^{}`) ?? found.get(name) ?? '';
}

function missing(ref: string): DomainError {
  if (ref === 'HEAD') {
    return new DomainError('SOURCE_REFUSED', 'the repository has no default branch: it is empty', {
      hint: 'Push a commit, or name a branch.',
    });
  }
  const isShortId = /^[0-9a-f]{7,39}$/.test(ref);
  return new DomainError('SOURCE_REFUSED', `the repository has no branch or tag ${JSON.stringify(ref)}`, {
    hint: isShortId ? 'Write out the whole commit id.' : 'Look at the names of its branches and tags.',
  });
}
