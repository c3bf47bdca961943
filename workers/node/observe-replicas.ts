import { join } from 'node:path';
import pLimit from 'p-limit';
import type { z } from 'zod';
import type { Docker } from '../../adapters/docker/docker.ts';
import type { Log } from '../../adapters/logging/log.ts';
import { openRestartFile } from '../../adapters/node-files/restart-file.ts';
import { createProber } from '../../adapters/probe/prober.ts';
import type { nodeVariables } from '../../config/node.ts';
import { createContainerHub } from './container-hub.ts';
import { createHealthMonitor } from './health-monitor.ts';
import type { NodeKeys } from './keys.ts';
import { createReplicaReporter } from './replica-reporter.ts';
import { createRestartKeeper } from './restart-keeper.ts';
import { createRestartMemory } from './restart-memory.ts';

/** What is needed to look after replicas. */
export interface ObserverParts {
  readonly config: Pick<z.infer<typeof nodeVariables>, 'NODE_ADDRESS' | 'NODE_KEY_DIR'>;
  readonly docker: Docker;
  readonly keys: NodeKeys;
  /** The same daemon, for restarts, and what throws while nothing may be restarted here. */
  readonly kept: { readonly docker: Docker; readonly requireKeeping: () => void };
  readonly startSlot: <Answer>(task: () => Promise<Answer>) => Promise<Answer>;
  readonly log: Log;
}

/**
 * Puts together what looks at containers by itself: events, health checks, restarts and reports. Looks are few at a
 * time, each kind apart.
 */
export async function observeReplicas({ config, docker, keys, kept, startSlot, log }: ObserverParts) {
  const hub = createContainerHub();
  const tellOfChange = (containerId: string): void => reporter.tell({ kind: 'changed', containerId });
  const file = await openRestartFile(join(config.NODE_KEY_DIR, 'restarts.json'), (reason) =>
    log.warn({ err: reason }, 'what was known of restarts cannot be read: counts begin anew'),
  );
  const keeper = createRestartKeeper({
    runtime: kept.docker,
    memory: createRestartMemory(file, (reason) => log.warn({ err: reason }, 'restarts could not be saved')),
    lookSlot: pLimit(8),
    startSlot,
    requireKeeping: kept.requireKeeping,
    onChange: tellOfChange,
    log,
  });
  const monitor = createHealthMonitor({
    prober: createProber(),
    nodeAddress: config.NODE_ADDRESS,
    findContainer: docker.findContainer,
    reattach: kept.docker.reattach,
    lookSlot: pLimit(16),
    onHealthChange: tellOfChange,
    log,
  });
  const reporter = createReplicaReporter({
    listContainerIds: docker.listContainerIds,
    findContainer: docker.findContainer,
    isDaemonHealthy: async () => (await docker.checkHealth()).kind === 'healthy',
    observe: monitor.observe,
    standing: keeper.standing,
    report: keys.control.reportReplicas,
    lookSlot: pLimit(8),
    log,
  });
  hub.onEvent(keeper.tell);
  hub.onEvent(reporter.tell);
  hub.onEvent(({ kind }) => {
    if (kind === 'connected') monitor.lookAgain();
  });
  return { hub, keeper, monitor, reporter };
}
