import { withFailures } from '../activities/failures.ts';
import { createIngressActivities } from '../activities/ingress-activities.ts';
import { createRewrapKeys } from '../activities/rewrap-keys.ts';
import type { Log } from '../adapters/logging/log.ts';
import { openDatabase } from '../adapters/postgres/database.ts';
import { createDeploymentStore } from '../adapters/postgres/deployment-store.ts';
import { createDrainRecords } from '../adapters/postgres/drains.ts';
import { createRotationRecords } from '../adapters/postgres/key-rotations.ts';
import { createRebalanceRecords } from '../adapters/postgres/rebalances.ts';
import { createKeyRewrapper } from '../adapters/postgres/rewrap-keys.ts';
import { createSnapshotRecords } from '../adapters/postgres/snapshot-records.ts';
import { readKeyring } from '../adapters/sealing/keyring.ts';
import { connectWorkers, installTemporalLog, startWorker } from '../adapters/temporal/worker.ts';
import { bundleWorkflows } from '../adapters/temporal/workflow-bundle.ts';
import { createIngressProbe } from '../adapters/traefik/generation-probe.ts';
import { readEnvironment } from '../config/environment.ts';
import { orchestratorVariables } from '../config/orchestrator.ts';
import { toPlacementRules } from '../config/placement.ts';
import { CONTROL_QUEUE } from '../contracts/task-queues.ts';
import { tellMissingMasterKeys } from './missing-keys.ts';
import { openAlerts } from './orchestrator/alerts.ts';
import { openMetricsUpkeep } from './orchestrator/metrics-upkeep.ts';
import { openReconciliation } from './orchestrator/reconciliation.ts';
import { openRetention } from './orchestrator/retention.ts';
import type { RunningRole } from './run-role.ts';
import { openMetricsServerIf } from './telemetry/metrics-server.ts';
import { createOrchestratorTelemetry } from './telemetry/orchestrator-telemetry.ts';

/** Looks at the ingress wait, they do not work: many may wait at a time. */
const MAX_ACTIVITIES = 200;

/** Starts the role `orchestrator`: all workflows, and the activities on databases and ingress. */
export async function startOrchestrator(
  environment: Record<string, string | undefined>,
  log: Log,
): Promise<RunningRole> {
  const config = readEnvironment(orchestratorVariables, environment);
  const payloadKeys = await readKeyring(config.PAYLOAD_KEY_FILE, 'PAYLOAD_KEY_FILE');
  const masterKeys = await readKeyring(config.MASTER_KEY_FILE, 'MASTER_KEY_FILE');
  const temporal = { address: config.TEMPORAL_ADDRESS, namespace: config.TEMPORAL_NAMESPACE, payloadKeys };
  installTemporalLog(log);

  const database = openDatabase({ url: config.DATABASE_URL });
  void tellMissingMasterKeys(database, masterKeys, log);
  const store = createDeploymentStore(database, {
    domain: config.DOMAIN,
    placement: toPlacementRules(config),
  });
  const keys = { ...createRotationRecords(database), ...createRewrapKeys(createKeyRewrapper(database, masterKeys)) };
  const snapshots = createSnapshotRecords(database, { kept: config.SNAPSHOTS_KEPT });
  const probe = createIngressProbe({ urls: config.TRAEFIK_INTERNAL_URLS.split(',') });
  const retention = openRetention(config, temporal, log);
  const reconciliation = openReconciliation(database, temporal, log);
  const upkeep = openMetricsUpkeep(config, database, temporal, log);
  const telemetry = createOrchestratorTelemetry();
  const alerts = await openAlerts({ config, masterKeys, temporal, telemetry, log });
  const [connection, workflowBundle] = await Promise.all([connectWorkers(temporal), bundleWorkflows(log)]);
  const worker = await startWorker(connection, temporal, {
    taskQueue: CONTROL_QUEUE,
    activities: withFailures({
      ...store,
      ...keys,
      ...snapshots,
      ...createDrainRecords(database),
      ...createRebalanceRecords(database),
      ...createIngressActivities(probe),
      ...retention.activities,
      ...reconciliation.activities,
      ...upkeep.activities,
      ...alerts.activities,
    }),
    workflowBundle,
    maxCachedWorkflows: config.WORKFLOW_CACHE_SIZE,
    maxActivities: MAX_ACTIVITIES,
  });
  // Not before: operations wait for an orchestrator that has just come back, and nobody for these.
  retention.schedule();
  reconciliation.schedule();
  upkeep.schedule();
  alerts.schedule();
  const exposed = { host: config.BIND_ADDRESS, registry: telemetry.registry };
  const metrics = await openMetricsServerIf(config.METRICS_PORT, exposed);
  return {
    stop: async () => {
      await worker.stop();
      await connection.close();
      await retention.close();
      await reconciliation.close();
      await upkeep.close();
      await alerts.close();
      await metrics?.close();
      await database.destroy();
    },
  };
}
