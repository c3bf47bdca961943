/** A name of an image that the platform has brought to a daemon: it was not there before. */
export interface BroughtName {
  /** `repository:tag` or `repository@sha256:…`, as the daemon lists it. */
  readonly name: string;
  /** Whether a build began with it. */
  readonly isBase: boolean;
  /** When it was brought, or a build began with it last; milliseconds since 1970, as this host's clock tells. */
  readonly usedAtMs: number;
}

/**
 * Which names on a daemon are the platform's own, and when an image was used last.
 *
 * A daemon tells neither: whoever pulls, the image looks the same, and its age is that of its build. What this forgets
 * stays on the daemon for ever, and nothing goes that it does not know.
 */
export interface OwnImages {
  find(name: string): BroughtName | undefined;
  /** Remembers names that were not there before. */
  brought(names: readonly string[], options: { readonly isBase: boolean }): void;
  /** An image is about to be run. Remembered by this process only: after it, whoever starts something asks again. */
  used(imageId: string): void;
  /** When any of this was used last, milliseconds since 1970; 0 when that is not known. */
  lastUsedMs(image: { readonly imageId: string; readonly names: readonly string[] }): number;
  forget(names: readonly string[]): void;
}

/** Where names outlive their process. */
export interface OwnImageStore {
  load(): Promise<readonly BroughtName[]>;
  save(names: readonly BroughtName[]): Promise<void>;
}

/** More than the images of a full node; 150 bytes each. The one that was used longest ago goes first. */
const MOST_NAMES = 5_000;

/** Creates a memory that lives as long as this process. */
export function createOwnImages(
  known: readonly BroughtName[] = [],
  onChange: (names: readonly BroughtName[]) => void = () => undefined,
): OwnImages {
  const names = new Map<string, BroughtName>();
  const usedAt = new Map<string, number>();
  for (const one of known) putLast(names, one.name, one);
  return {
    find: (name) => names.get(name),
    brought: (brought, { isBase }) => {
      for (const name of brought) {
        putLast(names, name, { name, isBase: isBase || names.get(name)?.isBase === true, usedAtMs: Date.now() });
      }
      if (brought.length > 0) onChange([...names.values()]);
    },
    used: (imageId) => putLast(usedAt, imageId, Date.now()),
    lastUsedMs: ({ imageId, names: own }) =>
      Math.max(usedAt.get(imageId) ?? 0, ...own.map((name) => names.get(name)?.usedAtMs ?? 0)),
    forget: (gone) => {
      const isNews = gone.map((name) => names.delete(name)).includes(true);
      if (isNews) onChange([...names.values()]);
    },
  };
}

/** Puts an entry at the end, and takes the first one away when there are too many. */
function putLast<Value>(map: Map<string, Value>, key: string, value: Value): void {
  map.delete(key);
  map.set(key, value);
  const [oldest] = map.keys();
  if (map.size > MOST_NAMES && oldest !== undefined) map.delete(oldest);
}

/**
 * Opens a memory that outlives its process.
 *
 * @param onProblem told when it could not be saved: what was brought then stays on the daemon after a restart.
 */
export async function openOwnImages(store: OwnImageStore, onProblem: (reason: unknown) => void): Promise<OwnImages> {
  let saving = Promise.resolve();
  let unsaved: readonly BroughtName[] | undefined;
  const saveNewest = async (): Promise<void> => {
    const newest = unsaved;
    unsaved = undefined;
    if (newest) await store.save(newest).catch(onProblem);
  };
  return createOwnImages(await store.load(), (names) => {
    unsaved = names;
    saving = saving.then(saveNewest);
  });
}
