import { createHash } from 'node:crypto';
import type { ContainerCreateOptions, HealthConfig } from 'dockerode';
import { NODE_LABEL, type WantedContainer } from '../../domain/container.ts';
import { LABEL } from '../../domain/naming.ts';
import type { ContainerSettings, HealthCheck } from '../../domain/spec.ts';
import { fromRestartPolicy } from './restart-policy.ts';

/**
 * Capabilities that are left: what Docker's usual web images need to bind a low port, give their files to a user of
 * their own and become it. NET_RAW, MKNOD, SETFCAP, SYS_CHROOT and AUDIT_WRITE of Docker's default set are not.
 */
export const CAPABILITIES = ['CHOWN', 'DAC_OVERRIDE', 'FOWNER', 'SETGID', 'SETUID', 'NET_BIND_SERVICE', 'KILL'];

/** Stops a fork bomb, and leaves room for any thread pool of an ordinary service. */
export const PIDS_LIMIT = 512;

/** Thirty megabytes a container: without a limit one fills 64 GB in a quarter of an hour. */
export const LOG_LIMITS = { 'max-size': '10m', 'max-file': '3' };

export const NANOS_PER_MS = 1_000_000;

/** Longest pause between Docker's own checks while a container starts, on engines that tell the two apart (25 on). */
const START_INTERVAL_MS = 1_000;

/**
 * Says to Docker what to create. Hardened in the same way for everybody: nothing here comes from a tenant but image,
 * command, environment, port, limits, paths of volumes, and what can only make a container smaller (`ContainerSettings`).
 *
 * @param imageLabels labels baked into the image; those that mean something to the platform or the ingress are blanked.
 * @param nodeAddress address on which the port is published; Docker picks the host port.
 */
export function toCreateOptions(
  wanted: WantedContainer,
  imageLabels: Readonly<Record<string, string>>,
  nodeAddress: string,
): ContainerCreateOptions {
  const port = wanted.port === null ? null : `${wanted.port}/tcp`;
  return {
    name: wanted.name,
    Image: wanted.imageId,
    Env: Object.entries(wanted.environment).map(([name, value]) => `${name}=${value}`),
    ...commandOf(wanted),
    ...processOf(wanted.settings),
    Labels: {
      ...blanked(imageLabels),
      ...wanted.labels,
      [NODE_LABEL.config]: configHash(wanted),
      [NODE_LABEL.restart]: wanted.restartPolicy,
    },
    Healthcheck: toHealthConfig(wanted.healthCheck),
    ExposedPorts: port === null ? {} : { [port]: {} },
    NetworkingConfig: { EndpointsConfig: { [wanted.network]: namesOf(wanted) } },
    HostConfig: {
      NetworkMode: wanted.network,
      PortBindings: port === null ? {} : { [port]: [{ HostIp: nodeAddress, HostPort: '' }] },
      Memory: wanted.limits.memoryBytes,
      MemorySwap: wanted.limits.memoryBytes,
      NanoCpus: Math.round(wanted.limits.cpuCores * 1e9),
      PidsLimit: PIDS_LIMIT,
      CapDrop: ['ALL'],
      CapAdd: CAPABILITIES,
      SecurityOpt: ['no-new-privileges:true'],
      IpcMode: 'private',
      ReadonlyRootfs: wanted.settings.readOnly,
      ...(wanted.settings.init ? { Init: true } : {}),
      ...tmpfsOf(wanted.settings),
      ...mountsOf(wanted),
      Privileged: false,
      PublishAllPorts: false,
      RestartPolicy: fromRestartPolicy(wanted.restartPolicy),
      LogConfig: { Type: 'json-file', Config: LOG_LIMITS },
    },
  };
}

function namesOf({ alias, names }: WantedContainer) {
  if (!names) return { Aliases: [alias] };
  const links = Object.entries(names.lookUp).map(([name, meaning]) => `${meaning}:${name}`);
  return { Aliases: [alias, names.own], Links: links };
}

function commandOf({ command, settings: { entrypoint } }: WantedContainer): Partial<ContainerCreateOptions> {
  return {
    ...(command.length > 0 ? { Cmd: [...command] } : {}),
    // Docker takes an empty list for the image's own; one empty word means none.
    ...(entrypoint === null ? {} : { Entrypoint: entrypoint.length > 0 ? [...entrypoint] : [''] }),
  };
}

function processOf({ user, workingDir, stopGraceMs }: ContainerSettings): Partial<ContainerCreateOptions> {
  return {
    ...(user === null ? {} : { User: user }),
    ...(workingDir === null ? {} : { WorkingDir: workingDir }),
    ...(stopGraceMs === null ? {} : { StopTimeout: Math.ceil(stopGraceMs / 1000) }),
  };
}

/** Counts against the memory limit. Nothing in it can be run as another user. */
function tmpfsOf({ tmpfs }: ContainerSettings) {
  if (tmpfs.length === 0) return {};
  return {
    Tmpfs: Object.fromEntries(tmpfs.map(({ path, sizeBytes }) => [path, `rw,nosuid,nodev,size=${sizeBytes}`])),
  };
}

/** Volumes of the platform only: a tenant's spec names no folder of the node and no driver. */
function mountsOf({ volumes = [] }: WantedContainer) {
  if (volumes.length === 0) return {};
  return {
    Mounts: volumes.map(({ name: Source, path: Target, readOnly: ReadOnly }) => {
      return { Type: 'volume' as const, Source, Target, ReadOnly };
    }),
  };
}

/**
 * Hash of everything that makes two containers of one name the same. The operation is left out: another one may find
 * what an earlier one has started.
 */
export function configHash(wanted: WantedContainer): string {
  const { [LABEL.operation]: _operation, ...labels } = wanted.labels;
  return createHash('sha256')
    .update(JSON.stringify(sorted({ ...wanted, labels })))
    .digest('hex');
}

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return entries.map(([name, inner]) => [name, sorted(inner)]);
}

/** Labels of an image that mean something to the platform or the ingress, emptied. */
export function blanked(imageLabels: Readonly<Record<string, string>>): Record<string, string> {
  const names = Object.keys(imageLabels).filter((name) => /^(traefik|cloud\.obiente)(\.|$)/i.test(name));
  return Object.fromEntries(names.map((name) => [name, '']));
}

/** Docker's own health check runs only for commands; a check that the image brings along never does. */
export function toHealthConfig({ probe, ...times }: HealthCheck): HealthConfig {
  if (probe.kind !== 'command') return { Test: ['NONE'] };
  return {
    Test: ['CMD', ...probe.command],
    Interval: times.intervalMs * NANOS_PER_MS,
    Timeout: times.timeoutMs * NANOS_PER_MS,
    StartPeriod: times.startPeriodMs * NANOS_PER_MS,
    StartInterval: Math.min(times.intervalMs, START_INTERVAL_MS) * NANOS_PER_MS,
    Retries: times.retries,
  };
}
