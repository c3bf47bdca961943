import { isSameService } from '../../domain/same-service.ts';
import { isCompose, servicesOf } from '../../domain/spec.ts';
import { readCurrent } from './current-goal.ts';
import type { DatabaseTransaction } from './database.ts';
import { getSpec, type LockedDeployment, type StoredOperation } from './deployment-lock.ts';
import { listImages, pinImages } from './revision-images.ts';

/**
 * Decides which services of a new revision stay as they run, since nothing of them has changed, and remembers it: the
 * revision is pinned to the images that they run. A deployment of a single image is always replaced.
 *
 * @returns by service, the revision of what runs.
 */
export async function keepServices(
  tx: DatabaseTransaction,
  deployment: LockedDeployment,
  { id, revision }: StoredOperation,
): Promise<Readonly<Record<string, number>>> {
  const spec = await getSpec(tx, deployment.id, revision);
  if (!isCompose(spec)) return {};
  const current = await readCurrent(tx, deployment);
  const kept: { service: string; digest: string; runs: number }[] = [];
  const wantedImages = await listImages(tx, deployment.id, revision);
  for (const service of servicesOf(spec)) {
    const goal = current.services.find(({ name }) => name === service.name);
    if (!goal) continue;
    const running = await findRunning(tx, deployment.id, goal);
    const digest = wantedImages.find((image) => image.service === service.name)?.digest ?? null;
    if (!running?.digest || !isSameService(running, { service, digest })) continue;
    kept.push({ service: service.name, digest: running.digest, runs: goal.revision });
  }
  const services = Object.fromEntries(kept.map(({ service, runs }) => [service, runs]));
  await tx
    .updateTable('operations')
    .set({ kept_services: JSON.stringify(services) })
    .where('id', '=', id)
    .execute();
  await pinImages(
    tx,
    deployment.id,
    kept.map(({ service, digest }) => ({ service, digest, revision })),
  );
  return services;
}

async function findRunning(
  tx: DatabaseTransaction,
  deploymentId: string,
  { name, revision }: { readonly name: string; readonly revision: number },
) {
  const service = servicesOf(await getSpec(tx, deploymentId, revision)).find((one) => one.name === name);
  if (!service) return undefined;
  const images = await listImages(tx, deploymentId, revision);
  return { service, digest: images.find((image) => image.service === name)?.digest ?? null };
}
