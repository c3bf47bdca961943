/** What a move of a deployment is about: replicas of one node, of all nodes but one, or both. */
export interface Move {
  /** The node that is left; `null`: every node but `to`. */
  readonly from: string | null;
  /** Where they go; `null`: wherever the deployment's placement allows, but not back. */
  readonly to: string | null;
  /** How many of each service leave; `null`: all. */
  readonly replicas: number | null;
  /** Whether volumes go along; absent: what has volumes is not moved. */
  readonly volumes?: boolean;
}

/** A replica as far as a move asks. */
interface Movable {
  readonly replicaId: string;
  readonly service: string;
  readonly nodeId: string;
  readonly index: number;
}

/** Says which replicas a move replaces: of each service those with the lowest indexes, so the same whenever it is asked. */
export function leaving(move: Move, replicas: readonly Movable[]): ReadonlySet<string> {
  const there = replicas.filter(({ nodeId }) => isLeft(move, nodeId)).sort((a, b) => a.index - b.index);
  const perService = [...Map.groupBy(there, ({ service }) => service).values()];
  const chosen = perService.flatMap((those) => those.slice(0, move.replicas ?? those.length));
  return new Set(chosen.map(({ replicaId }) => replicaId));
}

/** Whether a move takes replicas away from a node. */
export function isLeft({ from, to }: Move, nodeId: string): boolean {
  return from === null ? nodeId !== to : nodeId === from;
}

/** Why a node takes none of what moves, for people; `null` where it may. */
export function barredByMove(move: Move, nodeId: string): string | null {
  if (isLeft(move, nodeId)) return move.from === null ? 'not where it moves to' : 'moved away from';
  return move.to === null || move.to === nodeId ? null : 'not where it moves to';
}
