import type { ContainerSpec, ServiceSpec } from 'dockerode';
import { COMPOSE_LIMITS } from '../../../domain/compose/application.ts';
import { NODE_LABEL, type WantedContainer } from '../../../domain/container.ts';
import type { ContainerSettings, RestartPolicy } from '../../../domain/spec.ts';
import {
  blanked,
  CAPABILITIES,
  configHash,
  LOG_LIMITS,
  NANOS_PER_MS,
  PIDS_LIMIT,
  toHealthConfig,
} from '../container-options.ts';
import { SWARM_LABEL } from './swarm-labels.ts';

/** Swarm's words for when a task that has ended is started anew. */
const CONDITIONS: Record<RestartPolicy, 'any' | 'on-failure' | 'none'> = {
  always: 'any',
  'on-failure': 'on-failure',
  never: 'none',
};

/** Swarm's own pause before each restart; it has no growing ones. */
const RESTART_DELAY_MS = 5_000;

/** Engines before 25 do not know it, nor do the client's types: there the daemon has to be told. */
const NO_NEW_PRIVILEGES: NonNullable<ContainerSpec['Privileges']> & { readonly NoNewPrivileges: true } = {
  NoNewPrivileges: true,
};

/** Names with fewer dots than this are looked up with the search domain first: those of neighbours, and no others. */
const NEIGHBOURS_FIRST = 'ndots:1';

/**
 * Says to Swarm what service a replica is: one task, pinned to one node, not started yet. Hardened like a container (see
 * `container-options.ts`), as far as Swarm has the words: it has none for a limit of swap.
 *
 * @param nodeId Swarm's id of the node.
 */
export function toServiceSpec(
  wanted: WantedContainer,
  imageLabels: Readonly<Record<string, string>>,
  nodeId: string,
): ServiceSpec {
  const { memoryBytes: MemoryBytes, cpuCores } = wanted.limits;
  return {
    Name: wanted.name,
    Labels: { ...wanted.labels, [SWARM_LABEL.node]: nodeId },
    TaskTemplate: {
      ContainerSpec: toContainerSpec(wanted, imageLabels),
      Resources: { Limits: { MemoryBytes, NanoCPUs: Math.round(cpuCores * 1e9), Pids: PIDS_LIMIT } },
      RestartPolicy: { Condition: CONDITIONS[wanted.restartPolicy], Delay: RESTART_DELAY_MS * NANOS_PER_MS },
      Placement: { Constraints: [`node.id==${nodeId}`] },
      Networks: [{ Target: wanted.network, Aliases: aliasesOf(wanted) }],
      LogDriver: { Name: 'json-file', Options: LOG_LIMITS },
    },
    Mode: { Replicated: { Replicas: 0 } },
    // Nothing is ever updated but how many tasks there are: rollouts are ours.
    UpdateConfig: { Parallelism: 1, Order: 'stop-first', FailureAction: 'continue' },
    EndpointSpec: {
      // Not by a virtual address, which some kernels have no module for, and one task needs none.
      Mode: 'dnsrr',
      Ports: wanted.port === null ? [] : [{ Protocol: 'tcp', TargetPort: wanted.port, PublishMode: 'host' }],
    },
  };
}

function toContainerSpec(wanted: WantedContainer, imageLabels: Readonly<Record<string, string>>) {
  const { settings } = wanted;
  return {
    Image: wanted.imageId,
    Labels: {
      ...blanked(imageLabels),
      ...wanted.labels,
      [NODE_LABEL.config]: configHash(wanted),
      [NODE_LABEL.restart]: wanted.restartPolicy,
    },
    Env: Object.entries(wanted.environment).map(([name, value]) => `${name}=${withoutTemplates(value)}`),
    ...commandOf(wanted),
    ...processOf(settings),
    HealthCheck: toHealthConfig(wanted.healthCheck),
    CapabilityDrop: ['ALL'],
    CapabilityAdd: CAPABILITIES,
    Privileges: NO_NEW_PRIVILEGES,
    ReadOnly: settings.readOnly,
    ...(settings.init ? { Init: true } : {}),
    Mounts: mountsOf(wanted),
    ...namesOf(wanted),
  };
}

/** Swarm expands templates in variables: what a tenant writes is none, and reaches the application as it is. */
export function withoutTemplates(value: string): string {
  return value.replaceAll('{{', '{{"{{"}}');
}

/** In Swarm's words the command is the entrypoint, and the arguments are the command. */
function commandOf({ command, settings: { entrypoint } }: WantedContainer) {
  return {
    ...(command.length > 0 ? { Args: [...command] } : {}),
    ...(entrypoint === null ? {} : { Command: entrypoint.length > 0 ? [...entrypoint] : [''] }),
  };
}

function processOf({ user, workingDir, stopGraceMs }: ContainerSettings) {
  return {
    ...(user === null ? {} : { User: user }),
    ...(workingDir === null ? {} : { Dir: workingDir }),
    // Whoever stops a replica brings the time along; this one is for those who remove its service by hand.
    StopGracePeriod: (stopGraceMs ?? COMPOSE_LIMITS.stopGracePeriodMs) * NANOS_PER_MS,
  };
}

/** Volumes of the platform, and memory that counts against the limit; nothing else of the node. */
function mountsOf({ volumes = [], settings: { tmpfs } }: WantedContainer) {
  const stored = volumes.map(({ name: Source, path: Target, readOnly: ReadOnly }) => {
    return { Type: 'volume' as const, Source, Target, ReadOnly };
  });
  const inMemory = tmpfs.map(({ path: Target, sizeBytes }) => {
    return { Type: 'tmpfs' as const, Source: '', Target, TmpfsOptions: { SizeBytes: sizeBytes, Mode: 0o1777 } };
  });
  return [...stored, ...inMemory];
}

function aliasesOf({ alias, names }: WantedContainer): string[] {
  return names ? [alias, names.own] : [alias];
}

/**
 * Swarm has no links. The name within a cohort is the plain name and a domain, so looking names up in that domain first
 * leads to the same neighbours.
 */
function namesOf({ names }: WantedContainer) {
  if (!names) return {};
  const domains = Object.entries(names.lookUp).map(([name, meaning]) => meaning.slice(`${name}.`.length));
  return { DNSConfig: { Search: [...new Set(domains)], Options: [NEIGHBOURS_FIRST] } };
}
