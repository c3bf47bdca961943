import { beginsCohort } from '../../domain/cohort.ts';
import { makesRevision } from '../../domain/operation.ts';
import { allowsSamePlaces, type PlacementPolicy } from '../../domain/placement/policy.ts';
import { isSameService } from '../../domain/same-service.ts';
import { type ComposeSpec, isCompose, servicesOf } from '../../domain/spec.ts';
import { readCurrent } from './current-goal.ts';
import type { DatabaseTransaction } from './database.ts';
import { getSpec, type LockedDeployment, type StoredOperation } from './deployment-lock.ts';
import { listImages, pinImages } from './revision-images.ts';

/** What is decided once about an operation, when it begins: it depends on what runs by then. */
export type WhatStays = Pick<StoredOperation, 'kept' | 'cohort'>;

const NOTHING: WhatStays = { kept: {}, cohort: null };

/**
 * Decides which services stay as they run, since nothing of them has changed, and whether what is started is a cohort of
 * its own; and remembers both. A deployment of a single image is always replaced, and has no cohort.
 */
export async function decideWhatStays(
  tx: DatabaseTransaction,
  deployment: LockedDeployment,
  operation: StoredOperation,
): Promise<WhatStays> {
  const { id, kind, sequence, revision } = operation;
  if (!makesRevision(kind) && !beginsCohort(kind, 0)) return NOTHING;
  const runs = makesRevision(kind) ? revision : deployment.currentRevision;
  // Nothing has ever run, which is refused in another place.
  if (runs === 0) return NOTHING;
  const spec = await getSpec(tx, deployment.id, runs);
  if (!isCompose(spec)) return NOTHING;
  const kept = makesRevision(kind) ? await keepServices(tx, deployment, operation, spec) : {};
  const cohort = beginsCohort(kind, Object.keys(kept).length) ? sequence : null;
  await tx
    .updateTable('operations')
    .set({ kept_services: JSON.stringify(kept), cohort })
    .where('id', '=', id)
    .execute();
  return { kept, cohort };
}

/**
 * Pins a new revision to the images of what stays.
 *
 * @returns by service, the revision of what runs.
 */
async function keepServices(
  tx: DatabaseTransaction,
  deployment: LockedDeployment,
  { revision }: StoredOperation,
  spec: ComposeSpec,
): Promise<Readonly<Record<string, number>>> {
  const current = await readCurrent(tx, deployment);
  const kept: { service: string; digest: string; runs: number }[] = [];
  const wantedImages = await listImages(tx, deployment.id, revision);
  for (const service of servicesOf(spec)) {
    const goal = current.services.find(({ name }) => name === service.name);
    if (!goal) continue;
    const running = await findRunning(tx, deployment.id, goal, spec.placement);
    const digest = wantedImages.find((image) => image.service === service.name)?.digest ?? null;
    if (!running?.digest || !isSameService(running, { service, digest })) continue;
    kept.push({ service: service.name, digest: running.digest, runs: goal.revision });
  }
  await pinImages(
    tx,
    deployment.id,
    kept.map(({ service, digest }) => ({ service, digest, revision })),
  );
  return Object.fromEntries(kept.map(({ service, runs }) => [service, runs]));
}

async function findRunning(
  tx: DatabaseTransaction,
  deploymentId: string,
  { name, revision }: { readonly name: string; readonly revision: number },
  policy: PlacementPolicy | undefined,
) {
  const spec = await getSpec(tx, deploymentId, revision);
  // What ran alone is on another network, whatever it is called; what had another policy may be in the wrong place.
  const mayStay = isCompose(spec) && allowsSamePlaces(spec.placement, policy);
  const service = mayStay ? servicesOf(spec).find((one) => one.name === name) : undefined;
  if (!service) return undefined;
  const images = await listImages(tx, deploymentId, revision);
  return { service, digest: images.find((image) => image.service === name)?.digest ?? null };
}
