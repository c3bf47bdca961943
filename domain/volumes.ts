import { invalidArgument } from './errors.ts';
import { type DeploymentSpec, isCompose, servicesOf, type VolumeMount } from './spec.ts';

/** Bounds of volumes. */
export const VOLUME_LIMITS = {
  /** A deployment's name (63), a hyphen, and a name of a Compose file (63). */
  nameLength: 127,
  /** Mounts of one service. */
  mounts: 64,
  pathLength: 512,
} as const;

/** What Docker takes as the name of a volume. */
const NAME = /^[A-Za-z0-9][A-Za-z0-9_.-]*$/;

/** Makes the name of a volume valid that came in. @throws INVALID_ARGUMENT */
export function parseVolumeName(field: string, name: string): string {
  if (NAME.test(name) && name.length <= VOLUME_LIMITS.nameLength) return name;
  const allowed = `letters, digits, _ . - (${VOLUME_LIMITS.nameLength} at most), a letter or digit first`;
  throw invalidArgument(field, `found ${JSON.stringify(name.slice(0, 80))}`, allowed);
}

/**
 * Makes mounts valid that came in; paths are brought to one form.
 *
 * @throws INVALID_ARGUMENT for what is no name, for paths that no container may cover, and for a path used twice.
 */
export function parseVolumes(field: string, mounts: readonly VolumeMount[]): readonly VolumeMount[] {
  if (mounts.length > VOLUME_LIMITS.mounts) {
    throw invalidArgument(field, `${mounts.length} mounts`, `at most ${VOLUME_LIMITS.mounts}`);
  }
  const seen = new Set<string>();
  return mounts.map(({ volume, path: written, readOnly }, index) => {
    const path = parsePath(`${field}[${index}].path`, written);
    if (seen.has(path)) throw invalidArgument(`${field}[${index}].path`, `${path} has a mount already`, 'one a path');
    seen.add(path);
    return { volume: parseVolumeName(`${field}[${index}].volume`, volume), path, readOnly };
  });
}

function parsePath(field: string, written: string): string {
  const path = written.replace(/\/+/g, '/').replace(/(.)\/$/, '$1');
  const isPath = /^\/[^\p{Cc}:,]*$/u.test(path) && path.length <= VOLUME_LIMITS.pathLength;
  const isClean = !path.split('/').some((part) => part === '.' || part === '..');
  const isFree = !/^\/(?:$|(?:proc|sys|dev)(?:\/|$))/.test(path);
  if (isPath && isClean && isFree) return path;
  const allowed = 'an absolute path without . and .., commas and colons, other than /, /proc, /sys and /dev';
  throw invalidArgument(field, `found ${JSON.stringify(written.slice(0, 80))}`, allowed);
}

/** What a volume is called that is left on a lost node, where another one gets its name: `data-left-1`. */
export function leftName(name: string, number: number): string {
  const end = `-left-${number}`;
  return `${name.slice(0, VOLUME_LIMITS.nameLength - end.length)}${end}`;
}

/** Whether a service writes a volume: then two replicas of it never exist side by side. */
export function writesVolumes({
  volumes = [],
}: {
  readonly volumes?: readonly { readonly readOnly: boolean }[];
}): boolean {
  return volumes.some(({ readOnly }) => !readOnly);
}

/** Names of the volumes that a spec mounts, sorted; with `written`, of those that it mounts to write. */
export function volumeNames(spec: DeploymentSpec, only: 'all' | 'written' = 'all'): readonly string[] {
  const mounts = servicesOf(spec).flatMap(({ volumes = [] }) => volumes);
  const names = mounts.filter(({ readOnly }) => only === 'all' || !readOnly).map(({ volume }) => volume);
  return [...new Set(names)].sort();
}

/** Which service writes which volume, for each that is mounted to write. */
export function volumeWriters(spec: DeploymentSpec): ReadonlyMap<string, string> {
  const written = servicesOf(spec).flatMap(({ name, volumes = [] }) =>
    volumes.flatMap(({ volume, readOnly }) => (readOnly ? [] : [[volume, name] as const])),
  );
  return new Map(written);
}

/**
 * What a volume that is written asks of a spec: one service that writes it, one replica of that service, and a strategy
 * that can take the old one away before the new one starts.
 *
 * @throws INVALID_ARGUMENT naming the field.
 */
export function checkVolumes(spec: DeploymentSpec): void {
  const writers = new Map<string, string>();
  for (const service of servicesOf(spec)) {
    const field = isCompose(spec) ? `services.${service.name}` : 'spec';
    checkNesting(field, service.volumes ?? []);
    if (!writesVolumes(service)) continue;
    checkWriterReplicas(`${field}.replicas`, service.replicas);
    for (const { volume, readOnly } of service.volumes ?? []) {
      const other = readOnly ? undefined : writers.get(volume);
      if (other !== undefined && other !== service.name) throw writtenTwice(field, volume, other);
      if (!readOnly) writers.set(volume, service.name);
    }
  }
  const { strategy } = spec.rollout;
  if (writers.size === 0 || strategy === 'rolling' || strategy === 'recreate') return;
  const name = strategy === 'canary' ? 'canary' : 'blue_green';
  const finding = `${[...writers.keys()][0]} is written, and old and new would write it at the same time`;
  throw invalidArgument(`spec.rollout.${name}`, finding, 'rolling or recreate');
}

/** A service that writes a volume runs once at most. @throws INVALID_ARGUMENT */
export function checkWriterReplicas(field: string, replicas: number): void {
  if (replicas <= 1) return;
  throw invalidArgument(field, `found ${replicas} of a service that writes a volume`, '0 or 1, or read-only volumes');
}

/** Docker cannot make the place for an inner mount in a volume that nothing may be written to. */
function checkNesting(field: string, mounts: readonly VolumeMount[]): void {
  for (const outer of mounts.filter(({ readOnly }) => readOnly)) {
    const inner = mounts.find(({ path }) => path.startsWith(`${outer.path}/`));
    if (!inner) continue;
    const finding = `${inner.path} is inside ${outer.path}, which is read-only`;
    throw invalidArgument(`${field}.volumes`, finding, 'paths beside each other');
  }
}

function writtenTwice(field: string, volume: string, other: string): Error {
  const finding = `${other} writes ${volume} already`;
  return invalidArgument(`${field}.volumes`, finding, 'one service that writes a volume; others mount it read-only');
}
