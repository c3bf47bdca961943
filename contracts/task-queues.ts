/** Queue of the orchestrators: all workflows, and the activities that touch databases and the ingress. */
export const CONTROL_QUEUE = 'control';

/** Queue of one node: activities that call its Docker daemon. Only that node's worker polls it. */
export function nodeQueue(nodeId: string): string {
  return `node.${nodeId}`;
}

/** Queue of one node's image builds, apart from `nodeQueue` so that a long build never delays a start. */
export function buildQueue(nodeId: string): string {
  return `build.${nodeId}`;
}

/** Queue of the processes that keep the files of build contexts: those of the role `api`, which share one folder. */
export const CONTEXTS_QUEUE = 'contexts';

/** Queue of the processes of the role `api` that look at what only they reach: the streamers' gateways. */
export const OBSERVERS_QUEUE = 'observers';
