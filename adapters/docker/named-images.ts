import { isDomainError } from '../../domain/errors.ts';
import { asksRegistry, type FoundImage, nextImageStep } from '../../domain/image-access.ts';
import type { RegistryCredential } from '../../domain/registry-credential.ts';
import type { PullPolicy } from '../../domain/spec.ts';
import type { FindImage, StoredImage } from './find-image.ts';
import { familiar, type ImageReference } from './image-reference.ts';
import type { Grantee, PullRecords } from './pull-records.ts';
import { imageUnavailable, nameOf, type RegistryCalls } from './registry-calls.ts';

/** On whose behalf an image is looked for. */
export interface Puller {
  /** Opens the tenant's credential for the image's registry; `null` when there is none. Called only to ask a registry. */
  readonly fetchCredential?: (() => Promise<RegistryCredential | null>) | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((status: string) => void) | undefined;
}

/** How a revision's first image is looked for. */
export interface FirstWish {
  readonly policy: PullPolicy | undefined;
  /** What the daemon has under the reference. */
  readonly present: StoredImage | undefined;
}

/** Images that references name. */
export interface NamedImages {
  /** The image of a revision whose first replica came to this digest: on this node, else exactly it from its registry. */
  ensurePinned(reference: ImageReference, digest: string, puller: Puller): Promise<StoredImage>;
  /** The image of a revision's first replica: what this tenant was given before, else what the registry answers with. */
  ensureFirst(reference: ImageReference, wish: FirstWish, puller: Puller): Promise<StoredImage>;
}

/** What images are looked for with. */
export interface NamedImagesDeps {
  readonly find: FindImage;
  readonly registry: RegistryCalls;
  readonly records: PullRecords;
  /** Whether the daemon gives digests to images that were made on it as well. */
  readonly digestsTellNothing: () => Promise<boolean>;
}

/** Creates the way from a reference to an image that its tenant may use. */
export function createNamedImages({ find, registry, records, digestsTellNothing }: NamedImagesDeps): NamedImages {
  const findExact = async ({ repository }: ImageReference, digest: string): Promise<StoredImage | undefined> => {
    const found = await find(`${repository}@${digest}`, repository);
    return found && { ...found, digest };
  };

  const grantOf = (grantee: Grantee, { repository }: ImageReference, version: string) => {
    return { grantee, name: nameOf({ repository: familiar(repository), version }) };
  };

  const judge = async (present: StoredImage, reference: ImageReference): Promise<FoundImage> => {
    if (!present.isOfRepository) return { origin: 'made-here', isGranted: false };
    const isGranted = records.find(grantOf('everyone', reference, present.digest)) !== undefined;
    const isUnknown = !isGranted && reference.digest === null && (await digestsTellNothing());
    return { origin: isUnknown ? 'unknown' : 'registry', isGranted };
  };

  /** Without a credential the tag itself is pulled, and stays on the node: everybody may have it. */
  const pullTag = async (reference: ImageReference, puller: Puller): Promise<StoredImage> => {
    const { repository, tag } = reference;
    const digest = await registry.pull({ ...puller, repository, version: tag, credential: null });
    const exact = digest && (await findExact(reference, digest));
    const found = exact || (await find(`${repository}:${tag}`, repository));
    if (!found) throw sentAnother(reference);
    records.remember([{ ...grantOf('everyone', reference, found.digest), digest: found.digest }]);
    return found;
  };

  /** The registry says which image it is before the node's own copy counts, and before anything is downloaded. */
  const resolveAndPull = async (
    reference: ImageReference,
    credential: RegistryCredential | null,
    puller: Puller,
  ): Promise<StoredImage> => {
    const { repository, tag, digest: named } = reference;
    const call = { ...puller, repository, credential };
    const digest = await registry.resolve({ ...call, version: named ?? tag });
    if (named !== null && named !== digest) throw sentAnother(reference);
    const held = await findExact(reference, digest);
    if (!held) await registry.pull({ ...call, version: digest });
    const found = held ?? (await findExact(reference, digest));
    if (!found) throw sentAnother(reference);
    const grantee = credential ? { credentialId: credential.id } : 'everyone';
    records.remember([
      { ...grantOf(grantee, reference, digest), digest },
      ...(named === null ? [{ ...grantOf(grantee, reference, tag), digest }] : []),
    ]);
    return found;
  };

  return {
    ensurePinned: async (reference, digest, puller) => {
      const { repository } = reference;
      // An image that was made on the node is pinned by its id.
      const byId = reference.digest === null ? digest : undefined;
      const look = async () => (await findExact(reference, digest)) ?? (byId && (await find(byId, repository)));
      const held = await look();
      if (held) return held;
      const credential = (await puller.fetchCredential?.()) ?? null;
      await registry.pull({ ...puller, repository, version: digest, credential });
      const found = await look();
      if (!found) throw sentAnother({ ...reference, digest });
      return found;
    },
    ensureFirst: async (reference, { policy, present }, puller) => {
      const { tag, digest } = reference;
      const wish = { policy, tag, digest };
      const step = nextImageStep(present && (await judge(present, reference)), wish);
      if (present && step === 'use') return present;
      const credential = (await puller.fetchCredential?.()) ?? null;
      if (credential && !asksRegistry(wish)) {
        const given = records.find(grantOf({ credentialId: credential.id }, reference, digest ?? tag));
        const own = given && (await findExact(reference, given));
        if (own) return own;
      }
      try {
        if (credential || digest !== null) return await resolveAndPull(reference, credential, puller);
        return await pullTag(reference, puller);
      } catch (error) {
        const isRefused = isDomainError(error) && error.code === 'IMAGE_UNAVAILABLE';
        if (present && step === 'ask-or-use' && isRefused) return present;
        throw error;
      }
    },
  };
}

function sentAnother({ repository, tag, digest }: ImageReference) {
  const name = nameOf({ repository, version: digest ?? tag });
  return imageUnavailable(name, 'the registry sent another image than was asked for', 'Deploy again.');
}
