import type { MessageInitShape } from '@bufbuild/protobuf';
import type { Api } from '../../cli/client.ts';
import type { DeploymentSpecSchema } from '../../gen/obiente/cloud/v1/spec_pb.ts';
import type { Subject } from './subject.ts';

/** What is wanted of a deployment; `null` when it shall not exist. */
export type Wanted = { readonly version: number; readonly replicas: number; readonly stopped: boolean } | null;

/** One request for an operation. Asking again with the same key is the same request. */
export interface Request {
  readonly api: Api;
  readonly subject: Subject;
  readonly key: string;
  /** What the application answers with when the operation brings up a revision. */
  readonly version: number;
}

/** An operation on a deployment, as the fault tests need to know it. */
export interface Operation {
  /** Asks for it through the API. The answer holds what has to be the same for every attempt of a key. */
  ask(request: Request): Promise<readonly string[]>;
  /** What is wanted once it was accepted; `undefined` where it cannot be accepted. */
  apply(before: Wanted, asked: Pick<Request, 'subject' | 'version'>): Wanted | undefined;
}

/** Names of the operations in {@link OPERATIONS}. */
export type OperationName = 'create' | 'update' | 'scale' | 'restart' | 'stop' | 'start' | 'rollback' | 'delete';

/**
 * Every operation that a deployment takes, in the order of its life: each can be asked for where those before it are done.
 * A new one is one entry here: the sweeps go over all of them.
 */
export const OPERATIONS: Readonly<Record<OperationName, Operation>> = {
  create: {
    ask: async ({ api, subject, key, version }) => {
      const { projectId, name } = subject;
      const spec = aSpecOf(subject, version);
      const { deployment } = await api.deployments.createDeployment({ idempotencyKey: key, projectId, name, spec });
      return [deployment?.id ?? '', deployment?.name ?? ''];
    },
    apply: (before, { subject, version }) =>
      before === null ? { version, replicas: subject.replicas, stopped: false } : undefined,
  },
  update: {
    ask: async ({ api, subject, key, version }) => {
      const spec = aSpecOf(subject, version);
      const { deployment } = await api.deployments.updateDeployment({ ...of(subject, key), spec });
      return [deployment?.id ?? ''];
    },
    apply: (before, { subject, version }) => changed(before, { version, replicas: subject.replicas, stopped: false }),
  },
  scale: {
    ask: async ({ api, subject, key, version }) =>
      idOf(await api.deployments.scaleDeployment({ ...of(subject, key), replicas: replicasFor(version) })),
    apply: (before, { version }) => changed(before, { replicas: replicasFor(version) }),
  },
  restart: {
    ask: async ({ api, subject, key }) => idOf(await api.deployments.restartDeployment(of(subject, key))),
    apply: (before) => changed(before, {}),
  },
  stop: {
    ask: async ({ api, subject, key }) => idOf(await api.deployments.stopDeployment(of(subject, key))),
    apply: (before) => changed(before, { stopped: true }),
  },
  start: {
    ask: async ({ api, subject, key }) => idOf(await api.deployments.startDeployment(of(subject, key))),
    apply: (before) => changed(before, { stopped: false }),
  },
  rollback: {
    ask: async ({ api, subject, key }) =>
      idOf(await api.deployments.rollbackDeployment({ ...of(subject, key), toRevision: 1 })),
    apply: (before) => changed(before, { version: 1, stopped: false }),
  },
  delete: {
    ask: async ({ api, subject, key }) => idOf(await api.deployments.deleteDeployment(of(subject, key))),
    apply: (before) => (before === null ? undefined : null),
  },
};

function of({ id }: Subject, key: string) {
  return { idempotencyKey: key, deploymentId: id };
}

function idOf({ operation }: { readonly operation?: { readonly id: string } | undefined }): string[] {
  return [operation?.id ?? ''];
}

/** What exists is changed; what does not cannot be. */
function changed(before: Wanted, change: Partial<NonNullable<Wanted>>): Wanted | undefined {
  return before === null ? undefined : { ...before, ...change };
}

/** One to three, so that a scale goes up or down; that of a whole life goes up. */
function replicasFor(version: number): number {
  return 3 - (version % 3);
}

/** Operations that one subject goes through one after another, in the order of {@link OPERATIONS}. */
export type Course = readonly OperationName[];

/** A whole life. */
export const OPERATION_NAMES = Object.keys(OPERATIONS) as OperationName[];

/** Those whose ways through the workflow differ: what is done after every event of a history is done to these. */
export const DISTINCT_OPERATIONS: Course = ['create', 'update', 'scale', 'rollback', 'delete'];

/** What an operation of a course is asked for with: different for each, and the same in every course. */
export function versionOf(operation: OperationName): number {
  return OPERATION_NAMES.indexOf(operation) + 1;
}

/** What is wanted when these operations are done, one after another from the first. */
export function wantedAfter(done: Course, subject: Subject): Wanted {
  return done.reduce<Wanted>((wanted, operation) => {
    const next = OPERATIONS[operation].apply(wanted, { subject, version: versionOf(operation) });
    if (next === undefined) throw new Error(`${operation} cannot follow on ${JSON.stringify(wanted)}`);
    return next;
  }, null);
}

type SpecInit = Extract<MessageInitShape<typeof DeploymentSpecSchema>, { $typeName?: never }>;

/** A web server that answers with its version, ends at once when told to, and holds a secret. */
function aSpecOf({ image, replicas, canary }: Subject, version: number): SpecInit {
  const serve = 'mkdir -p /tmp/www && echo "$BODY" > /tmp/www/index.html && trap "exit 0" TERM';
  return {
    source: { case: 'image', value: { reference: image } },
    port: 8080,
    replicas,
    command: ['/bin/sh', '-c', `${serve}; httpd -f -p 8080 -h /tmp/www & wait`],
    environment: [
      { name: 'BODY', value: bodyOf(version) },
      { name: 'CANARY', value: canary },
    ],
    limits: { cpuCores: 0.1, memoryBytes: 16n * 1024n * 1024n },
  };
}

/** What the application of a version answers. */
export function bodyOf(version: number): string {
  return `version ${version}`;
}
