import { createHeap } from './heap.ts';
import { fitsOn, loadWith } from './room.ts';
import type { NodeRoom, Strategy, StrategyInput } from './strategy.ts';

/** A node while replicas are handed out. */
interface Candidate {
  readonly node: NodeRoom;
  left: number;
  given: number;
  /** The larger of its two shares with one more. */
  load: number;
}

/** The nodes of one value of the label. */
interface Domain {
  readonly name: string;
  /** Replicas of the deployment that are there. */
  replicas: number;
  readonly nodes: ReturnType<typeof createHeap<Candidate>>;
}

/**
 * Gives each replica to where the fewest of the deployment are, by the values of a label, and there to the node with the
 * fewest, the least loaded of several. Nodes without the label are a place of their own each, and so are all of them
 * without a label. Replicas that must be together go where the fewest are and all of them fit.
 */
export const acrossDomains: Strategy = (input) => {
  const { request } = input;
  const each = request.together ? request.replicas : 1;
  const domains = domainsOf(input, each);
  const queue = createHeap<Domain>((one, other) => one.replicas - other.replicas || (one.name < other.name ? -1 : 1));
  for (const domain of domains) queue.push(domain);
  const assignments: string[] = [];
  while (assignments.length < request.replicas) {
    const domain = queue.first();
    const best = domain?.nodes.first();
    if (!domain || !best) return undefined;
    for (let count = 0; count < each; count += 1) assignments.push(best.node.nodeId);
    domain.replicas += each;
    best.left -= each;
    best.given += each;
    if (best.left < each) domain.nodes.drop();
    else {
      best.load = loadWith(best.node, best.given + each, input);
      domain.nodes.sink();
    }
    if (domain.nodes.first()) queue.sink();
    else queue.drop();
  }
  return assignments;
};

function domainsOf(input: StrategyInput, each: number): Domain[] {
  const domains = new Map<string, Domain>();
  for (const node of input.room) {
    const domain = domains.get(node.domain) ?? { name: node.domain, replicas: 0, nodes: createHeap(byLoad) };
    domains.set(node.domain, domain);
    domain.replicas += node.ownReplicas;
    const left = fitsOn(node, input.request);
    if (left >= each) domain.nodes.push({ node, left, given: 0, load: loadWith(node, each, input) });
  }
  return [...domains.values()].filter(({ nodes }) => nodes.first() !== undefined);
}

function byLoad(one: Candidate, other: Candidate): number {
  const [replicas, others] = [one, other].map(({ node, given }) => node.ownReplicas + given);
  return (replicas ?? 0) - (others ?? 0) || one.load - other.load || (one.node.nodeId < other.node.nodeId ? -1 : 1);
}
