/** An image reference taken apart; the daemon's API wants repository and tag (or digest) one by one. */
export interface ImageReference {
  /** With the registry, if any, and without tag and digest. */
  readonly repository: string;
  /** `latest` when the reference names neither tag nor digest. */
  readonly tag: string;
  /** `sha256:…`; wins over the tag. */
  readonly digest: string | null;
}

/** Takes a reference apart that has been validated before. The tag's colon is the last one after the last slash. */
export function parseImageReference(reference: string): ImageReference {
  const [named = '', digest = null] = reference.split('@', 2);
  const colon = named.indexOf(':', named.lastIndexOf('/') + 1);
  if (colon < 0) return { repository: named, tag: 'latest', digest };
  return { repository: named.slice(0, colon), tag: named.slice(colon + 1), digest };
}

/** Says whether an entry of `RepoDigests` belongs to a repository, in whatever spelling of Docker Hub's defaults. */
export function isDigestOf(repository: string, repoDigest: string): boolean {
  return familiar(repoDigest.split('@', 1)[0] ?? '') === familiar(repository);
}

/** The one spelling of a repository, whichever of Docker Hub's defaults it was written with. */
export function familiar(repository: string): string {
  return repository.replace(/^(index\.)?docker\.io\//, '').replace(/^library\//, '');
}
