/** Who may use an image: everybody, because it was pulled without a credential, or who has this credential. */
export type Grantee = 'everyone' | { readonly credentialId: string };

/** That somebody was given an image by its registry, under a name. */
export interface Grant {
  readonly grantee: Grantee;
  /** Repository with `:tag` or `@sha256:…`. */
  readonly name: string;
  /** The digest that the registry answered with. */
  readonly digest: string;
}

/**
 * What registries gave to whom. An image that a daemon holds says nothing about that: all tenants share its store.
 *
 * Losing a record costs one question to the registry, and never gives anybody anything.
 */
export interface PullRecords {
  /** The digest that this name stood for when it was last given; `undefined` when it never was. */
  find(wanted: Pick<Grant, 'grantee' | 'name'>): string | undefined;
  remember(grants: readonly Grant[]): void;
}

/** Where records outlive their process. */
export interface PullRecordStore {
  load(): Promise<readonly Grant[]>;
  save(grants: readonly Grant[]): Promise<void>;
}

/** More than the images of a full node; 200 bytes each. The one that was used longest ago goes first. */
const MOST_RECORDS = 5_000;

/** Creates records that live as long as this process. */
export function createPullRecords(
  known: readonly Grant[] = [],
  onChange: (grants: readonly Grant[]) => void = () => undefined,
): PullRecords {
  const grants = new Map<string, Grant>();
  const put = (grant: Grant): void => {
    const key = keyOf(grant);
    grants.delete(key);
    grants.set(key, grant);
    const [oldest] = grants.keys();
    if (grants.size > MOST_RECORDS && oldest !== undefined) grants.delete(oldest);
  };
  for (const grant of known) put(grant);
  return {
    find: (wanted) => {
      const found = grants.get(keyOf(wanted));
      if (found) put(found);
      return found?.digest;
    },
    remember: (given) => {
      const isNews = given.some((grant) => grants.get(keyOf(grant))?.digest !== grant.digest);
      for (const grant of given) put(grant);
      if (isNews) onChange([...grants.values()]);
    },
  };
}

/**
 * Opens records that outlive their process.
 *
 * @param onProblem told when they could not be saved: the next time they are needed the registry is asked instead.
 */
export async function openPullRecords(
  store: PullRecordStore,
  onProblem: (reason: unknown) => void,
): Promise<PullRecords> {
  let isSaving = false;
  let unsaved: readonly Grant[] | undefined;
  const saveAll = async (): Promise<void> => {
    if (isSaving) return;
    isSaving = true;
    while (unsaved) {
      const next = unsaved;
      unsaved = undefined;
      await store.save(next).catch(onProblem);
    }
    isSaving = false;
  };
  return createPullRecords(await store.load(), (grants) => {
    unsaved = grants;
    void saveAll();
  });
}

function keyOf({ grantee, name }: Pick<Grant, 'grantee' | 'name'>): string {
  return `${grantee === 'everyone' ? grantee : grantee.credentialId} ${name}`;
}
