import { NODE_LABEL } from './container.ts';
import { containerName, LABEL, parseReplicaId, replicaId } from './naming.ts';

/** Which replica a container says that it is. Nothing is proven by it: anybody on a host can write labels. */
export type Claim =
  /** Of another installation, or of none. */
  | { readonly kind: 'foreign' }
  | { readonly kind: 'replica'; readonly deploymentId: string; readonly replicaId: string }
  /** What it says cannot be, so the platform did not make it. */
  | { readonly kind: 'false'; readonly reason: string };

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
const CONFIG = /^[0-9a-f]{64}$/;

/**
 * Reads the claim of a container's labels and holds it against its name, which the platform derives from the same
 * facts. A daemon gives a name once, so beside a replica's container no other can have the name that goes with its
 * labels.
 */
export function readClaim(
  instance: string,
  { name, labels }: { readonly name: string; readonly labels: Readonly<Record<string, string>> },
): Claim {
  if (labels[LABEL.managed] !== 'true' || labels[LABEL.instance] !== instance) return { kind: 'foreign' };
  const deploymentId = labels[LABEL.deploymentId] ?? '';
  if (!UUID.test(deploymentId)) return { kind: 'false', reason: 'its deployment is no id' };
  const replica = parseReplicaId(labels[LABEL.replica] ?? '');
  if (!replica) return { kind: 'false', reason: 'its replica is no id' };
  const { revision, index } = replica;
  if (labels[LABEL.revision] !== String(revision))
    return { kind: 'false', reason: 'its revision is not its replica’s' };
  const named = containerName({ instance, deploymentId, revision, index });
  if (name !== named) return { kind: 'false', reason: `its name is not ${named}` };
  if (!CONFIG.test(labels[NODE_LABEL.config] ?? ''))
    return { kind: 'false', reason: 'it says not what it was made of' };
  return { kind: 'replica', deploymentId, replicaId: replicaId(revision, index) };
}
