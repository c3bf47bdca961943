import type { ContainerInspectInfo } from 'dockerode';
import type { ContainerStatus, ObservedContainer } from '../../domain/container.ts';
import { toRestartPolicy } from './restart-policy.ts';

/** Docker's zero time: "never". */
const NEVER = '0001-01-01T00:00:00Z';

/** Takes from Docker's description of a container what the platform needs. */
export function toObservedContainer(info: ContainerInspectInfo): ObservedContainer {
  const { State: state } = info;
  const status = state.Status as ContainerStatus;
  const hasRun = state.StartedAt !== NEVER;
  // Docker counts a container that it is about to restart as running too.
  const isUp = status === 'running' || status === 'paused';
  const health = state.Health?.Status;
  return {
    id: info.Id,
    imageId: info.Image,
    labels: info.Config.Labels ?? {},
    status,
    exitCode: hasRun && !isUp ? state.ExitCode : null,
    outOfMemory: state.OOMKilled,
    restarts: info.RestartCount ?? 0,
    startedAt: hasRun ? state.StartedAt : null,
    finishedAt: state.FinishedAt === NEVER ? null : state.FinishedAt,
    daemonPolicy: toRestartPolicy(info.HostConfig.RestartPolicy?.Name),
    ipAddress: isUp ? addressOf(info) : null,
    hostPort: hostPortOf(info),
    dockerHealth: health === 'starting' || health === 'healthy' || health === 'unhealthy' ? health : null,
  };
}

function addressOf(info: ContainerInspectInfo): string | null {
  const addresses = Object.values(info.NetworkSettings.Networks).map((network) => network.IPAddress);
  return addresses.find((address) => address !== '') ?? null;
}

function hostPortOf(info: ContainerInspectInfo): number | null {
  const bindings = Object.values(info.NetworkSettings.Ports ?? {}).flatMap((bound) => bound ?? []);
  const port = Number(bindings[0]?.HostPort ?? 0);
  return port > 0 ? port : null;
}
