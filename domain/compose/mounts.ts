import { COMPOSE_LIMITS, type ComposeMount } from './application.ts';
import { MOUNT_KEYS, MOUNT_TMPFS_KEYS, MOUNT_VOLUME_KEYS } from './key-rules.ts';
import { flagOf, isMap, itemsOf, type Place, refuse, refuseFound, textOf } from './place.ts';
import { checkLabels } from './platform-owned.ts';
import { bytesOf, containerPathOf } from './quantities.ts';
import { readKeys, type Translation } from './read-keys.ts';

/** A tmpfs lives in the memory of its container; without a size Docker would let it have half of the node's. */
const DEFAULT_TMPFS_BYTES = 64 * 1024 * 1024;

/** What the mounts of one service are checked against. */
export interface MountContext {
  /** Names of the volumes that the file declares. */
  readonly volumes: ReadonlySet<string>;
  readonly memoryBytes: number;
  readonly translation: Translation;
}

/**
 * Reads `volumes` and `tmpfs` of a service.
 *
 * @throws INVALID_ARGUMENT for folders of the node (binds), volumes without a name or that the file does not declare,
 * paths that no container may cover, and a path used twice.
 */
export function mountsOf(
  volumes: Place | undefined,
  tmpfs: Place | undefined,
  context: MountContext,
): readonly ComposeMount[] {
  const mounts = [
    ...(volumes ? fewItemsOf(volumes).map((item) => ({ item, mount: readMount(item, context) })) : []),
    ...(tmpfs ? tmpfsItems(tmpfs).map((item) => ({ item, mount: readTmpfs(item, context) })) : []),
  ];
  const paths = new Set<string>();
  for (const { item, mount } of mounts) {
    if (paths.has(mount.path)) throw refuse(item, 'its path has a mount already', 'one mount for each path');
    paths.add(mount.path);
  }
  return mounts.map(({ mount }) => mount);
}

function readMount(place: Place, context: MountContext): ComposeMount {
  return isMap(place.value) ? readLong(place, context) : readShort(place, context);
}

/** `VOLUME:PATH[:OPTIONS]`; what begins like a path is a folder of the node. */
function readShort(place: Place, context: MountContext): ComposeMount {
  const text = textOf(place, 'a text such as data:/var/lib/data, or a map');
  const parts = text.split(':');
  const [source = '', path, options = 'rw'] = parts;
  if (path === undefined) throw anonymousRefused(place);
  if (isHostPath(source) || /^[a-z]:[\\/]/i.test(text)) throw bindRefused(place);
  if (parts.length > 3) throw refuseFound(place, 'name:/path, or name:/path:ro');
  const wrong = options.split(',').find((option) => !['ro', 'rw', 'z', 'Z'].includes(option));
  if (wrong !== undefined) throw refuseFound(place, 'the options ro and rw');
  const readOnly = options.split(',').includes('ro');
  return { kind: 'volume', volume: volumeOf(place, source, context), path: containerPathOf(place, path), readOnly };
}

function readLong(place: Place, context: MountContext): ComposeMount {
  const { translation } = context;
  const type = isMap(place.value) ? place.value.type : undefined;
  if (type === 'bind') throw bindRefused(place);
  const keys = readKeys(place, MOUNT_KEYS, translation);
  if (!keys.type) throw refuse(place, 'no type is set', 'type: volume or tmpfs');
  if (!keys.target) throw refuse(place, 'no target is set', 'target: a path in the container');
  const path = containerPathOf(keys.target, textOf(keys.target));
  const readOnly = keys.read_only ? flagOf(keys.read_only) : false;
  if (type === 'tmpfs') {
    if (readOnly) throw refuse(place, 'a tmpfs that nothing can be written to', 'a tmpfs without read_only');
    const size = keys.tmpfs && readKeys(keys.tmpfs, MOUNT_TMPFS_KEYS, translation).size;
    return { kind: 'tmpfs', path, sizeBytes: tmpfsSize(size, context) };
  }
  if (type !== 'volume') throw refuseFound(keys.type, 'volume or tmpfs');
  const options = keys.volume ? readKeys(keys.volume, MOUNT_VOLUME_KEYS, translation) : {};
  if (options.labels) checkLabels(options.labels, translation);
  if (!keys.source) throw anonymousRefused(place);
  const source = textOf(keys.source);
  if (isHostPath(source)) throw bindRefused(keys.source);
  return { kind: 'volume', volume: volumeOf(keys.source, source, context), path, readOnly };
}

function volumeOf(place: Place, name: string, { volumes }: MountContext): string {
  if (volumes.has(name)) return name;
  throw refuseFound(place, 'a volume that the file declares under volumes');
}

/** What begins with `.` or `~`, or holds a slash, is no name of a volume. */
function isHostPath(source: string): boolean {
  return /^[.~]|[\\/]/.test(source);
}

function bindRefused(place: Place): Error {
  return refuse(place, 'a folder of the node cannot be mounted', 'a named volume, or files that the image brings');
}

function anonymousRefused(place: Place): Error {
  return refuse(place, 'a volume without a name would be lost with its container', 'a named volume, or a tmpfs');
}

function fewItemsOf(place: Place): readonly Place[] {
  const items = itemsOf(place);
  if (items.length <= COMPOSE_LIMITS.mounts) return items;
  throw refuse(place, `${items.length} entries`, `at most ${COMPOSE_LIMITS.mounts}`);
}

function tmpfsItems(place: Place): readonly Place[] {
  return typeof place.value === 'string' ? [place] : fewItemsOf(place);
}

/** Options of a tmpfs that are what every tmpfs has. */
const PLAIN_OPTIONS = ['rw', 'noexec', 'nosuid', 'nodev', 'mode=1777', 'mode=01777'];

/** `PATH[:OPTION,…]` */
function readTmpfs(place: Place, context: MountContext): ComposeMount {
  const text = textOf(place, 'a text such as /run or /tmp:size=64m');
  const [path = '', options = '', ...rest] = text.split(':');
  let size: Place | undefined;
  for (const option of options === '' ? [] : options.split(',')) {
    const [, bytes] = /^size=(.*)$/.exec(option) ?? [];
    const isPlain = PLAIN_OPTIONS.includes(option);
    if ((bytes === undefined && !isPlain) || rest.length > 0) throw refuseFound(place, 'a path with size=… at most');
    if (bytes !== undefined) size = { ...place, value: bytes };
  }
  return { kind: 'tmpfs', path: containerPathOf(place, path), sizeBytes: tmpfsSize(size, context) };
}

function tmpfsSize(size: Place | undefined, { memoryBytes }: MountContext): number {
  return size ? bytesOf(size, 4096, memoryBytes) : Math.min(DEFAULT_TMPFS_BYTES, memoryBytes);
}
