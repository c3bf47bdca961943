import { choosePlacement, type Placement, type PlacementQuestion } from './placement.ts';

/** What placement of an image for one kind of node needs to know. */
export interface SameKindQuestion extends PlacementQuestion {
  /** The architecture that the image was built for; `null` while it is still to be built, by the first replica's node. */
  readonly builtFor: string | null;
}

/**
 * Places replicas of an image that is built for the node that builds it: all of them on nodes of one architecture.
 *
 * Of several the one to which a single replica would go is tried first, then the others by name. What is refused is
 * refused with what the first one has.
 */
export function choosePlacementOfKind({ nodes, builtFor, ...question }: SameKindQuestion): Placement {
  const placeOn = (architecture: string): Placement =>
    choosePlacement({ ...question, nodes: nodes.filter((node) => node.architecture === architecture) });
  const kinds = new Set(nodes.filter(({ ready }) => ready).map(({ architecture }) => architecture));
  if (kinds.size === 0 || (builtFor === null && kinds.size === 1)) return choosePlacement({ ...question, nodes });
  if (builtFor !== null) return placeOn(builtFor);
  const [likely] =
    choosePlacement({ ...question, request: { ...question.request, replicas: 1 }, nodes }).assignments ?? [];
  const first = nodes.find(({ nodeId }) => nodeId === likely)?.architecture;
  const order = [...kinds].sort(
    (one, other) => Number(other === first) - Number(one === first) || (one < other ? -1 : 1),
  );
  const answers = order.map(placeOn);
  return answers.find(({ refusal }) => refusal === undefined) ?? answers[0] ?? choosePlacement({ ...question, nodes });
}
