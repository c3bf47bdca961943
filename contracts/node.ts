/** Workflow type of the entity that watches one node. */
export const NODE_WORKFLOW = 'node';

/** Workflow id of a node's entity. */
export function nodeWorkflowId(nodeId: string): string {
  return `node/${nodeId}`;
}

/** Signal: the node has enrolled (again), so watching it is worth trying at once. No argument. */
export const ENROLLED_SIGNAL = 'enrolled';

/** Signal: something that the node still has is to go. No argument: what it is stands in the database. */
export const DOOMED_SIGNAL = 'doomed';

/** What a node is. */
export interface NodeStateChange {
  readonly nodeId: string;
  readonly state: 'ready' | 'degraded' | 'lost';
  /** For people; empty when all is well. */
  readonly reason: string;
}

/** A loss of a node, and what was done about it so far. */
export interface NodeLoss {
  /** When what was there is to be replaced next, milliseconds since 1970. */
  readonly dueAt: number;
  readonly attempts: number;
}

/** Input of the node workflow. Times in milliseconds. */
export interface NodeInput {
  readonly nodeId: string;
  /** Silence after which the node counts as lost. */
  readonly heartbeatMs: number;
  /** Longest single watch; a new one follows. */
  readonly watchMs: number;
  /** Pause before a lost node is tried again, unless it enrols sooner. */
  readonly retryMs: number;
  /** What survives continue-as-new; absent in a first run. */
  readonly carried?: { readonly known: NodeStateChange['state']; readonly loss?: NodeLoss };
}
