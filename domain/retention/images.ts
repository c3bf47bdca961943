import { builtImageRepositoryPrefix, LABEL } from '../naming.ts';

/** An image that a daemon holds, as far as it matters for whether it may go. */
export interface LocalImage {
  /** Docker's `sha256:…`. */
  readonly imageId: string;
  /** `repository:tag` and `repository@sha256:…`, all that lead to it. */
  readonly names: readonly string[];
  readonly labels: Readonly<Record<string, string>>;
  /** Whether any container on the daemon was made from it, of whoever and in whatever state. */
  readonly hasContainers: boolean;
  /** Whether another image was built on it. */
  readonly hasChildren: boolean;
  /** Since it was made here, pulled, or asked for last, milliseconds. */
  readonly idleMs: number;
}

/** What is known of a name that the platform has brought to a daemon. */
export interface OwnName {
  /** Whether a build began with it, and not only replicas ran it. */
  readonly isBase: boolean;
}

/** Why an image stays. */
export type ImageStay = 'not-ours' | 'also-named-by-others' | 'in-use' | 'recently-used';

/** How an image is looked at. */
export interface ImageRules {
  readonly instance: string;
  readonly imagesMs: number;
  readonly baseImagesMs: number;
  /** What is known of a name; `undefined` for one that the platform has not brought. */
  findOwnName(name: string): OwnName | undefined;
}

/**
 * Says whether an image may go from a daemon as far as that daemon knows: `null` means that it may, unless a revision
 * needs it.
 *
 * The platform's own are those that it built (its label, and no name but its own) and those all of whose names it has
 * brought there. What has another name as well belongs to somebody else too. Nothing that any container was made from
 * ever goes, nor what another image is built on, nor what was used just now.
 */
export function whyImageStays(image: LocalImage, rules: ImageRules): ImageStay | null {
  const isBuilt = isBuiltHere(image, rules.instance);
  const own = image.names.map((name) => rules.findOwnName(name));
  const isBrought = own.length > 0 && own.every((name) => name !== undefined);
  if (!isBuilt && !isBrought) return own.some((name) => name !== undefined) ? 'also-named-by-others' : 'not-ours';
  if (isBuilt && !image.names.every((name) => isBuiltName(name, rules.instance))) return 'also-named-by-others';
  if (image.hasContainers || image.hasChildren) return 'in-use';
  const isBase = own.some((name) => name?.isBase === true);
  const keptMs = isBase ? Math.max(rules.imagesMs, rules.baseImagesMs) : rules.imagesMs;
  return image.idleMs <= keptMs ? 'recently-used' : null;
}

function isBuiltHere({ labels }: LocalImage, instance: string): boolean {
  return labels[LABEL.managed] === 'true' && labels[LABEL.instance] === instance && LABEL.deploymentId in labels;
}

function isBuiltName(name: string, instance: string): boolean {
  return name.startsWith(builtImageRepositoryPrefix(instance));
}
