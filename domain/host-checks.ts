/** What was found of a host that is to be a node. */
export interface HostFacts {
  /** Why Docker could not be asked; empty when it could. */
  readonly dockerProblem: string;
  readonly dockerVersion: string;
  readonly apiVersion: string;
  readonly liveRestore: boolean;
  /** Whether the daemon is a member of a Docker Swarm. */
  readonly isInSwarm: boolean;
  readonly cgroupDriver: string;
  readonly cgroupVersion: string;
  readonly storageDriver: string;
  readonly osType: string;
  readonly architecture: string;
  readonly rootDir: string;
  /** Room on the daemon's disk; `null` when it cannot be seen from here. */
  readonly disk: { readonly freeBytes: number; readonly totalBytes: number } | null;
  /** How far this host's clock is ahead of the control plane's, milliseconds; `null` when that does not answer. */
  readonly clockAheadMs: number | null;
  /** The control plane's address. */
  readonly server: string;
}

/** What one check found. A host with a refused check does not join. */
export interface HostFinding {
  readonly name: string;
  readonly level: 'ok' | 'warning' | 'refused';
  readonly detail: string;
  /** What to do about it. */
  readonly fix?: string;
}

/** The oldest Docker Engine with which this platform is tried, and its API. */
const FLOOR = { docker: [20, 10], api: [1, 41] } as const;

/** Tokens between nodes and the control plane are refused when clocks differ by more than 10 s; half of that is near. */
const CLOCK_MS = { warned: 5_000, refused: 10_000 } as const;

/** A node with less takes no replicas, see `domain/disk-guard.ts`. */
const MIN_FREE_PERCENT = 10;

const GIB = 1024 ** 3;

/** Storage drivers that the builds of the daemon's makers are tried with most. */
const KNOWN_STORAGE = ['overlay2', 'overlayfs', 'btrfs', 'zfs'];

/** Architectures for which images are commonly built. */
const KNOWN_ARCHITECTURES = ['x86_64', 'amd64', 'aarch64', 'arm64'];

/** Judges a host, in the order in which a person would put things right. */
export function judgeHost(host: HostFacts): readonly HostFinding[] {
  const reach = judgeReach(host);
  if (host.dockerProblem !== '') {
    const fix = 'install Docker Engine 20.10 or newer, start it, and run this as a user who may use its socket';
    return [...reach, { name: 'docker', level: 'refused', detail: host.dockerProblem, fix }];
  }
  return [
    ...reach,
    judgeVersion(host),
    judgeApi(host),
    judgeLiveRestore(host),
    { name: 'cgroups', level: 'ok', detail: `version ${host.cgroupVersion}, driver ${host.cgroupDriver}` },
    judgeStorage(host),
    judgeDisk(host),
    judgeArchitecture(host),
  ];
}

function judgeReach({ server, clockAheadMs }: HostFacts): HostFinding[] {
  if (clockAheadMs === null) {
    const fix = 'check --server, and that this host may reach it';
    return [{ name: 'control plane', level: 'refused', detail: `${server} does not answer`, fix }];
  }
  const apart = Math.abs(clockAheadMs);
  const detail = `${(apart / 1000).toFixed(1)} s ${clockAheadMs < 0 ? 'behind' : 'ahead of'} the control plane`;
  const level = apart > CLOCK_MS.refused ? 'refused' : apart > CLOCK_MS.warned ? 'warning' : 'ok';
  const clock: HostFinding = {
    ...{ name: 'clock', level, detail },
    ...(level === 'ok' ? {} : { fix: 'let both hosts set their clocks by NTP' }),
  };
  return [{ name: 'control plane', level: 'ok', detail: server }, clock];
}

function judgeVersion({ dockerVersion }: HostFacts): HostFinding {
  const found = { name: 'docker', detail: dockerVersion };
  if (isAtLeast(dockerVersion, FLOOR.docker)) return { ...found, level: 'ok' };
  return { ...found, level: 'refused', fix: `upgrade Docker Engine to ${FLOOR.docker.join('.')} or newer` };
}

function judgeApi({ apiVersion }: HostFacts): HostFinding {
  const found = { name: 'docker api', detail: apiVersion };
  if (isAtLeast(apiVersion, FLOOR.api)) return { ...found, level: 'ok' };
  return {
    ...found,
    level: 'refused',
    fix: `upgrade Docker Engine: its API has to be ${FLOOR.api.join('.')} or newer`,
  };
}

/** Without it, every container ends with a daemon that is killed, and its restart is an outage of the whole host. */
function judgeLiveRestore({ liveRestore, isInSwarm }: HostFacts): HostFinding {
  const name = 'live-restore';
  if (liveRestore) return { name, level: 'ok', detail: 'on' };
  const detail = 'off: containers end whenever the Docker daemon restarts';
  if (isInSwarm) {
    const fix =
      'it cannot be on in a swarm: join with --runtime swarm, or leave it first ("docker swarm leave") if this host is to be a node only';
    return { name, level: 'warning', detail, fix };
  }
  const fix = 'add  "live-restore": true  to /etc/docker/daemon.json, then reload Docker';
  return { name, level: 'warning', detail, fix };
}

function judgeStorage({ storageDriver, osType }: HostFacts): HostFinding {
  const name = 'storage';
  if (osType !== 'linux') {
    return { name, level: 'refused', detail: `${osType} containers`, fix: 'join a host that runs Linux containers' };
  }
  if (KNOWN_STORAGE.includes(storageDriver)) return { name, level: 'ok', detail: storageDriver };
  return { name, level: 'warning', detail: storageDriver, fix: 'overlay2 is what Docker advises' };
}

function judgeDisk({ disk, rootDir }: HostFacts): HostFinding {
  const name = 'disk';
  if (!disk || disk.totalBytes === 0) return { name, level: 'warning', detail: `${rootDir} cannot be seen from here` };
  const percent = Math.floor((100 * disk.freeBytes) / disk.totalBytes);
  const detail = `${(disk.freeBytes / GIB).toFixed(1)} GiB free (${percent} %) at ${rootDir}`;
  if (percent >= MIN_FREE_PERCENT) return { name, level: 'ok', detail };
  return { name, level: 'warning', detail, fix: `free some: below ${MIN_FREE_PERCENT} % a node takes no replicas` };
}

function judgeArchitecture({ architecture }: HostFacts): HostFinding {
  const found = { name: 'architecture', detail: architecture };
  if (KNOWN_ARCHITECTURES.includes(architecture)) return { ...found, level: 'ok' };
  return { ...found, level: 'warning', fix: 'few images are built for it' };
}

/** Compares by numbers, part by part: `20.10.24+dfsg1` is at least 20.10. What is no version is not. */
function isAtLeast(version: string, [major, minor]: readonly [number, number]): boolean {
  const [, foundMajor, foundMinor] = /^(\d{1,4})\.(\d{1,4})/.exec(version) ?? [];
  if (foundMajor === undefined) return false;
  return Number(foundMajor) > major || (Number(foundMajor) === major && Number(foundMinor) >= minor);
}
