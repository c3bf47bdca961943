import { randomUUID } from 'node:crypto';
import { createLog } from '../../adapters/logging/log.ts';
import { createTemporalClient } from '../../adapters/temporal/client.ts';
import { connectWorkers, installTemporalLog, startWorker } from '../../adapters/temporal/worker.ts';
import { bundleWorkflows } from '../../adapters/temporal/workflow-bundle.ts';
import { createWorkflowGateway } from '../../adapters/temporal/workflow-gateway.ts';
import type { StoreActivities } from '../../contracts/activities.ts';
import { buildQueue, CONTROL_QUEUE, nodeQueue } from '../../contracts/task-queues.ts';
import type { RolloutTiming } from '../../contracts/timing.ts';
import { QUICK } from './builders.ts';
import type { createFakeCluster } from './fake-cluster.ts';
import { NODE } from './fake-cluster.ts';
import { aPayloadKeyring, startTemporal } from './temporal.ts';

/** The real Temporal server, today's workflows, and a cluster that a test controls. */
export async function startWorkflowRig(payloadKeys = aPayloadKeyring()) {
  const log = createLog({ role: 'test', level: 'silent' });
  installTemporalLog(log);
  const server = await startTemporal();
  const temporal = { address: server.address, namespace: 'default', payloadKeys };
  const workflowBundle = await bundleWorkflows(log);
  const connection = await connectWorkers(temporal);
  const { client, close } = createTemporalClient(temporal);
  const node = { heartbeatMs: 2_000, watchMs: 60_000, retryMs: 100 };
  let storeOperation: StoreActivities['storeOperation'] | undefined;
  const openGateway = (timing: RolloutTiming) =>
    createWorkflowGateway({
      ...{ client, timing, node, answerMs: 20_000 },
      storeOperation: async (input) => {
        if (!storeOperation) throw new Error('there is no cluster to store it in');
        return await storeOperation(input);
      },
      onUntold: (_, error) => {
        throw error;
      },
    });
  const gateway = openGateway(QUICK);

  /** Runs the workers of a cluster while `use` runs, the orchestrator's with further activities. */
  const withCluster = async (
    cluster: ReturnType<typeof createFakeCluster>,
    use: () => Promise<void>,
    more: object = {},
  ): Promise<void> => {
    storeOperation = cluster.storeOperation;
    const control = { ...cluster.store, ...cluster.ingress, ...more };
    const workers = await Promise.all([
      startWorker(connection, temporal, {
        taskQueue: CONTROL_QUEUE,
        activities: control,
        workflowBundle,
        maxActivities: 50,
      }),
      startWorker(connection, temporal, { taskQueue: nodeQueue(NODE), activities: cluster.node, maxActivities: 50 }),
      startWorker(connection, temporal, { taskQueue: buildQueue(NODE), activities: cluster.build, maxActivities: 2 }),
    ]);
    try {
      await use();
    } finally {
      await Promise.all(workers.map((worker) => worker.stop()));
    }
  };
  const stop = async (): Promise<void> => {
    await close();
    await connection.close();
    await server.stop();
  };
  return { client, gateway, openGateway, withCluster, connection, temporal, workflowBundle, stop };
}

/** Ids of a deployment of its own. */
export function aPlace() {
  return { deploymentId: randomUUID(), organizationId: randomUUID(), projectId: randomUUID() };
}
