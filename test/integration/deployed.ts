import { randomUUID } from 'node:crypto';
import type { MessageInitShape } from '@bufbuild/protobuf';
import type { Api } from '../../cli/client.ts';
import { isOver } from '../../cli/operation-state.ts';
import type { Deployment, Operation } from '../../gen/obiente/cloud/v1/deployments_pb.ts';
import type { DeploymentSpecSchema } from '../../gen/obiente/cloud/v1/spec_pb.ts';
import { eventually } from '../support/eventually.ts';

/** A spec as a caller writes it. */
export type SpecInit = Extract<MessageInitShape<typeof DeploymentSpecSchema>, { $typeName?: never }>;

/** A web server from the test image: answers `body` at every path under `/`. */
export function aWebServer(image: string, body: string, changes: SpecInit = {}): SpecInit {
  const serve = 'mkdir -p /tmp/www && echo "$BODY" > /tmp/www/index.html && exec httpd -f -p 8080 -h /tmp/www';
  return {
    source: { case: 'image', value: { reference: image } },
    port: 8080,
    command: ['/bin/sh', '-c', serve],
    environment: [{ name: 'BODY', value: body }],
    limits: { cpuCores: 0.2, memoryBytes: 16n * 1024n * 1024n },
    ...changes,
  } as SpecInit;
}

/** A deployment under test, and the words for what is done to it. */
export interface Subject {
  readonly id: string;
  readonly name: string;
  get(): Promise<Deployment>;
  update(spec: SpecInit): Promise<Operation>;
  /** Waits until the newest operation has ended. */
  outcome(operationId?: string): Promise<Operation>;
  remove(): Promise<void>;
}

/** Creates a deployment in the user's first project; the call answers before it runs. */
export async function createSubject(
  api: Api,
  spec: SpecInit,
  name = `app-${randomUUID().slice(0, 8)}`,
): Promise<Subject> {
  const request = { idempotencyKey: randomUUID(), projectId: await firstProject(api), name, spec };
  const { deployment } = await api.deployments.createDeployment(request);
  const deploymentId = deployment?.id ?? '';
  const get = async (): Promise<Deployment> => {
    const answer = await api.deployments.getDeployment({ deploymentId });
    if (!answer.deployment) throw new Error('answered without a deployment');
    return answer.deployment;
  };
  const outcome = (operationId?: string): Promise<Operation> =>
    eventually(
      async () => {
        const { operation } = await get();
        const ended = operation && isOver(operation.state);
        if (!ended || (operationId && operation.id !== operationId)) throw new Error(`state is ${operation?.state}`);
        return operation;
      },
      { patienceMs: 120_000 },
    );
  return {
    id: deploymentId,
    name,
    get,
    outcome,
    update: async (next) => {
      const change = { idempotencyKey: randomUUID(), deploymentId, spec: next };
      const updated = (await api.deployments.updateDeployment(change)).deployment?.operation;
      if (!updated) throw new Error('answered without an operation');
      return updated;
    },
    remove: async () => {
      await api.deployments.deleteDeployment({ idempotencyKey: randomUUID(), deploymentId });
      await eventually(
        async () => {
          const left = await get().catch(() => undefined);
          if (left) throw new Error('the deployment is still there');
        },
        { patienceMs: 120_000 },
      );
    },
  };
}

/** The project that every user has from the start. */
export async function firstProject(api: Api): Promise<string> {
  const { memberships } = await api.identity.whoAmI({});
  const { projects } = await api.projects.listProjects({ organizationId: memberships[0]?.organizationId ?? '' });
  const [project] = projects;
  if (!project) throw new Error('the user has no project');
  return project.id;
}
