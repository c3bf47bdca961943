import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { Client, Connection } from '@temporalio/client';
import Dockerode from 'dockerode';
import type { Api } from '../../cli/client.ts';
import { DEPLOYMENT_WORKFLOW } from '../../contracts/deployment.ts';
import { LABEL } from '../../domain/naming.ts';
import { DOCKER_SOCKET } from '../support/docker.ts';
import type { PlatformFacts } from '../support/platform.ts';

/** Everything that a request can leave on a platform, each part looked at behind the API's back where it can be. */
export interface Traces {
  readonly organizations: readonly string[];
  readonly projects: readonly string[];
  readonly deployments: readonly string[];
  readonly workflows: readonly string[];
  readonly containers: readonly string[];
  readonly contextFiles: readonly string[];
}

/** Looks for traces as often as it is asked; `close` when no more are wanted. */
export interface TraceReader {
  read(): Promise<Traces>;
  close(): Promise<void>;
}

/** Opens a reader of what the user of this connection, the Temporal server, Docker and the disk have. */
export async function openTraces(platform: PlatformFacts, api: Api): Promise<TraceReader> {
  const docker = new Dockerode({ socketPath: DOCKER_SOCKET });
  const connection = await Connection.connect({ address: platform.temporalAddress });
  const { workflow } = new Client({ connection });
  const organizationId = (await api.identity.whoAmI({})).memberships[0]?.organizationId ?? '';
  const openWorkflows = async (): Promise<string[]> => {
    const query = `WorkflowType = '${DEPLOYMENT_WORKFLOW}' AND ExecutionStatus = 'Running'`;
    const ids = [];
    for await (const { workflowId } of workflow.list({ query })) ids.push(workflowId);
    return ids;
  };
  const filters = { label: [`${LABEL.instance}=${platform.instance}`] };
  return {
    read: async () => ({
      organizations: (await api.organizations.listOrganizations({})).organizations.map(({ name }) => name),
      projects: (await api.projects.listProjects({ organizationId })).projects.map(({ name }) => name),
      deployments: (await api.deployments.listDeployments({ organizationId })).deployments.map(({ id }) => id),
      workflows: (await openWorkflows()).sort(),
      containers: (await docker.listContainers({ all: true, filters })).map(({ Id }) => Id).sort(),
      contextFiles: (await readdir(join(platform.stateDir, 'contexts'), { recursive: true })).sort(),
    }),
    close: () => connection.close(),
  };
}
