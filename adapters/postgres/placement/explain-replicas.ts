import { invalidArgument } from '../../../domain/errors.ts';
import type { Outcome } from '../../../domain/placement/cluster-model.ts';
import { judgeNodes } from '../../../domain/placement/explain.ts';
import {
  choosePlacement,
  type PlacementNode,
  type PlacementRules,
  rulesFor,
} from '../../../domain/placement/placement.ts';
import { toPlacementError } from '../../../domain/placement/refusal.ts';
import { choosePlacementOfKind } from '../../../domain/placement/same-kind.ts';
import { type ServiceSpec, servicesOf } from '../../../domain/spec.ts';
import { findBuiltFor } from '../builds.ts';
import type { Database } from '../database.ts';
import { getSpec } from '../deployment-lock.ts';
import { isBuilt, readRotation } from './choose-nodes.ts';
import { inSnapshot } from './cluster-snapshot.ts';
import { readPlacementNodes } from './placement-nodes.ts';
import { demandFor, findRevised } from './simulate-placement.ts';

/**
 * Says where further replicas of a service would go at this moment, and what of each node speaks for or against it: by
 * what a rollout reads, and its rules. Nothing is reserved.
 *
 * @throws NOT_FOUND for a deployment without a revision; INVALID_ARGUMENT for a service that it has not.
 */
export async function explainReplicas(
  db: Database,
  of: { readonly deploymentId: string; readonly service: string; readonly more: number },
  platformRules: PlacementRules,
): Promise<Outcome> {
  return await inSnapshot(db, async (tx) => {
    const deployment = await findRevised(tx, of.deploymentId);
    const { id: deploymentId, revision } = deployment;
    const spec = await getSpec(tx, deploymentId, revision);
    const service = findService(servicesOf(spec), of.service);
    const { request, only } = await demandFor(tx, { deployment, spec, service, replicas: of.more });
    const { near } = request.policy;
    const nodes = await readPlacementNodes(tx, { deployment, operation: null, service: service.name, near });
    const builtFor = isBuilt(service)
      ? await findBuiltFor(tx, { deploymentId, revision, service: service.name })
      : null;
    const rules = rulesFor(platformRules, request.policy);
    const question = {
      ...{ request, rules },
      nodes: nodes.filter(({ nodeId }) => only === null || nodeId === only).map((node) => ofKind(node, builtFor)),
      after: only === null ? await readRotation(tx, rules) : null,
    };
    const placement = isBuilt(service) ? choosePlacementOfKind({ ...question, builtFor }) : choosePlacement(question);
    const { assignments = [], refusal } = placement;
    return {
      assignments,
      refusal: refusal ? toPlacementError(request, refusal).message : null,
      judge: () => judgeNodes(question, assignments),
    };
  });
}

function findService(services: readonly ServiceSpec[], name: string): ServiceSpec {
  const service = services.find((one) => one.name === name);
  if (service) return service;
  throw invalidArgument('service', `found ${JSON.stringify(name)}`, services.map((one) => one.name).join(', '));
}

/** An image runs on nodes of the architecture that it was built for. */
function ofKind(node: PlacementNode, builtFor: string | null): PlacementNode {
  const { architecture } = node;
  if (builtFor === null || architecture === builtFor || !node.ready) return node;
  return { ...node, ready: false, unready: `is ${architecture}, and its image is built for ${builtFor}` };
}
