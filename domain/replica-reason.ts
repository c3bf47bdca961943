/** As much of a replica as a person is told when it is not well. */
export interface ReplicaFacts {
  readonly service: string;
  readonly replicaId: string;
  readonly revision: number;
  readonly state: 'starting' | 'healthy' | 'unhealthy' | 'exited' | 'removing';
  /** Why it is unhealthy; empty otherwise. */
  readonly healthReason: string;
  /** Of its last exit; `null` while none is known. */
  readonly exitCode: number | null;
  readonly outOfMemory: boolean;
  /** Restarts of its container in all. */
  readonly restarts: number;
  /** `null` while it runs, and when it is not to be restarted. */
  readonly nextRestartAt: Date | null;
  /** Whether its container was removed by somebody else than the platform. */
  readonly gone: boolean;
}

/** Replicas named one by one in a reason; of ten thousand that fail alike the first few say enough. */
const MOST_NAMED = 3;

/**
 * Says how many of the wanted replicas are healthy, and what is with the others: `1 of 2 replicas is healthy; r3-1
 * exited with code 137, out of memory, 6 restarts, next try in 40 s`.
 */
export function describeReplicas(
  replicas: readonly ReplicaFacts[],
  { healthy, wanted }: { readonly healthy: number; readonly wanted: number },
  nowMs: number,
): string {
  const others = replicas.filter(({ state }) => state !== 'healthy' && state !== 'removing');
  const named = others.slice(0, MOST_NAMED).map((replica) => describeReplica(replica, nowMs));
  const rest = others.length > MOST_NAMED ? [`and ${others.length - MOST_NAMED} more`] : [];
  const replicasAre = wanted === 1 ? 'replica is' : healthy === 1 ? 'replicas is' : 'replicas are';
  return [`${healthy} of ${wanted} ${replicasAre} healthy`, ...named, ...rest].join('; ');
}

function describeReplica(replica: ReplicaFacts, nowMs: number): string {
  const { replicaId, state, exitCode, restarts, healthReason } = replica;
  if (replica.gone) return `${replicaId} is gone: its container was removed`;
  const reason = state === 'unhealthy' && healthReason !== '' ? `: ${healthReason}` : '';
  if (state !== 'exited') return `${replicaId} is ${state}${afterRestarts(replica)}${reason}`;
  const code = exitCode === null ? '' : ` with code ${exitCode}`;
  const memory = replica.outOfMemory ? ', out of memory' : '';
  const times = restarts > 0 ? `, ${count(restarts)}` : '';
  return `${replicaId} exited${code}${memory}${times}${nextTry(replica, nowMs)}`;
}

function afterRestarts({ exitCode, restarts }: ReplicaFacts): string {
  if (restarts === 0) return '';
  return ` after ${count(restarts)}${exitCode === null ? '' : `, last exit code ${exitCode}`}`;
}

function count(restarts: number): string {
  return restarts === 1 ? '1 restart' : `${restarts} restarts`;
}

function nextTry({ nextRestartAt }: ReplicaFacts, nowMs: number): string {
  if (nextRestartAt === null) return '';
  const seconds = Math.ceil((nextRestartAt.getTime() - nowMs) / 1000);
  if (seconds <= 0) return ', next try now';
  return seconds < 120 ? `, next try in ${seconds} s` : `, next try in ${Math.ceil(seconds / 60)} min`;
}
