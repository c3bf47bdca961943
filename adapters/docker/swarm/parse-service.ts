import type { ServiceSpec } from 'dockerode';
import { z } from 'zod';
import { DomainError } from '../../../domain/errors.ts';
import { containerName, LABEL, parseReplicaId } from '../../../domain/naming.ts';
import { CAPABILITIES, PIDS_LIMIT } from '../container-options.ts';
import { SWARM_LABEL } from './swarm-labels.ts';

/** What a service of a worker has to be. */
export interface ServiceOwner {
  readonly instance: string;
  /** Swarm's id of the worker. */
  readonly nodeId: string;
}

const words = z.array(z.string());
const labels = z.record(z.string(), z.string());
const count = z.number().int().nonnegative();

/** The words of `toServiceSpec`, and no others: Swarm knows some that reach past the host that a service is pinned to. */
const container = z.strictObject({
  Image: z.string(),
  Labels: labels,
  Env: words,
  Args: words.optional(),
  Command: words.optional(),
  User: z.string().optional(),
  Dir: z.string().optional(),
  StopGracePeriod: count,
  HealthCheck: z.strictObject({
    Test: words,
    Interval: count.optional(),
    Timeout: count.optional(),
    StartPeriod: count.optional(),
    StartInterval: count.optional(),
    Retries: count.optional(),
  }),
  CapabilityDrop: z.tuple([z.literal('ALL')]),
  CapabilityAdd: z.array(z.enum(CAPABILITIES as [string, ...string[]])),
  Privileges: z.strictObject({ NoNewPrivileges: z.literal(true) }),
  ReadOnly: z.boolean(),
  Init: z.literal(true).optional(),
  Mounts: z.array(
    z.discriminatedUnion('Type', [
      z.strictObject({ Type: z.literal('volume'), Source: z.string(), Target: z.string(), ReadOnly: z.boolean() }),
      z.strictObject({
        ...{ Type: z.literal('tmpfs'), Source: z.literal(''), Target: z.string() },
        TmpfsOptions: z.strictObject({ SizeBytes: count, Mode: count }),
      }),
    ]),
  ),
  DNSConfig: z.strictObject({ Search: words, Options: words }).optional(),
});

const service = ({ nodeId }: ServiceOwner) =>
  z.strictObject({
    Name: z.string(),
    Labels: labels,
    TaskTemplate: z.strictObject({
      ContainerSpec: container,
      Resources: z.strictObject({
        Limits: z.strictObject({ MemoryBytes: count, NanoCPUs: count, Pids: z.literal(PIDS_LIMIT) }),
      }),
      RestartPolicy: z.strictObject({ Condition: z.enum(['any', 'on-failure', 'none']), Delay: count }),
      Placement: z.strictObject({ Constraints: z.tuple([z.literal(`node.id==${nodeId}`)]) }),
      Networks: z.tuple([z.strictObject({ Target: z.string(), Aliases: words })]),
      LogDriver: z.strictObject({ Name: z.literal('json-file'), Options: labels }),
    }),
    Mode: z.strictObject({ Replicated: z.strictObject({ Replicas: z.literal(0) }) }),
    UpdateConfig: z.strictObject({
      ...{ Parallelism: z.literal(1), Order: z.literal('stop-first'), FailureAction: z.literal('continue') },
    }),
    EndpointSpec: z.strictObject({
      Mode: z.literal('dnsrr'),
      // In the mode of hosts: the other one opens the port on all hosts of the swarm.
      Ports: z
        .array(z.strictObject({ Protocol: z.literal('tcp'), TargetPort: count, PublishMode: z.literal('host') }))
        .max(1),
    }),
  });

/**
 * Reads a service that a worker wants made: one as the platform makes it, of this installation, pinned to that worker, under
 * the name that follows from its labels. Swarm's secrets and configs, ports on all hosts, constraints and whatever else
 * Swarm knows are refused.
 *
 * @throws PERMISSION_DENIED for any other; what is in it is not repeated, since variables are.
 */
export function parsePinnedService(value: unknown, owner: ServiceOwner): ServiceSpec {
  const { success, data, error } = service(owner).safeParse(value);
  if (!success) throw refused(error.issues[0]?.path.join('.') ?? '');
  const { Labels, TaskTemplate: template } = data;
  const own = {
    [LABEL.managed]: 'true',
    [LABEL.instance]: owner.instance,
  };
  for (const [name, wanted] of Object.entries({ ...own, [SWARM_LABEL.node]: owner.nodeId })) {
    if (Labels[name] !== wanted) throw refused(`Labels.${name}`);
  }
  for (const [name, wanted] of Object.entries(own)) {
    if (template.ContainerSpec.Labels[name] !== wanted) throw refused(`ContainerSpec.Labels.${name}`);
  }
  const replica = parseReplicaId(Labels[LABEL.replica] ?? '');
  const deploymentId = Labels[LABEL.deploymentId] ?? '';
  if (!replica || data.Name !== containerName({ instance: owner.instance, deploymentId, ...replica })) {
    throw refused('Name');
  }
  if (!template.Networks[0].Target.startsWith(`obiente-${owner.instance}-`)) throw refused('Networks');
  return data as ServiceSpec;
}

function refused(where: string): DomainError {
  return new DomainError('PERMISSION_DENIED', `a worker may not have such a service made: ${where} is not allowed`);
}
