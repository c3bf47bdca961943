import { NODE_LABEL, type ObservedContainer } from '../../domain/container.ts';
import { LABEL } from '../../domain/naming.ts';

/** A replica's container as Docker tells it: runs since the beginning of 2026, and never exited. */
export function aContainer(id: string, changes: Partial<ObservedContainer> = {}): ObservedContainer {
  return {
    id,
    imageId: 'sha256:1',
    labels: {
      [LABEL.deploymentId]: 'd',
      [LABEL.revision]: '1',
      [LABEL.replica]: `r1-${id}`,
      [NODE_LABEL.restart]: 'always',
    },
    status: 'running',
    exitCode: null,
    outOfMemory: false,
    restarts: 0,
    startedAt: '2026-01-01T00:00:00Z',
    finishedAt: null,
    daemonPolicy: 'always',
    ipAddress: '10.0.0.2',
    hostPort: 32_768,
    dockerHealth: null,
    ...changes,
  };
}
