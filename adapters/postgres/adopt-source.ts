import type { ReadingStore } from '../../contracts/source-reading.ts';
import { withFile, withoutFile } from '../../domain/compose-origin.ts';
import { isOpen } from '../../domain/operation.ts';
import { type ComposeSpec, type DeploymentSpec, isCompose, ONLY_SERVICE, servicesOf } from '../../domain/spec.ts';
import { checkVolumes } from '../../domain/volumes.ts';
import { claimVolumes, inProject } from './claim-volumes.ts';
import { ended } from './control-operation.ts';
import type { Database, DatabaseTransaction } from './database.ts';
import { getOperation, getSpec, type LockedDeployment, lockExisting, putSpec } from './deployment-lock.ts';
import { recordEvents } from './events.ts';
import { decideWhatStays } from './kept-services.ts';
import { findCommit } from './revision-sources.ts';
import { ensureRoutes } from './routes.ts';

/** How much of a commit id people need to see. */
const SHOWN_DIGITS = 12;

/**
 * Makes a revision what was found in its repository, with all that is otherwise decided when a revision is stored and
 * when its rollout begins: volumes, routes, and which services stay as they run. A repeated call changes nothing.
 *
 * @throws INVALID_ARGUMENT for what only the database knows: volumes that others write, changes of services that are not
 * there.
 */
export async function adoptSource(
  db: Database,
  { deploymentId, operationId, revision, found }: Parameters<ReadingStore['adoptSource']>[0],
  domain: string,
): Promise<void> {
  await db.transaction().execute(async (tx) => {
    const deployment = await lockExisting(tx, deploymentId);
    const operation = await getOperation(tx, operationId);
    if (!isOpen(operation.state)) throw ended(operation.state);
    const reading = await takeReading(tx, { deploymentId, revision, found: found.kind });
    if (!reading) return;
    const unread = await getSpec(tx, deploymentId, revision);
    const spec = found.kind === 'image' ? withoutFile(unread, found.builder) : madeOf(deployment, unread, reading.spec);
    checkVolumes(spec);
    await claimVolumes(tx, deployment, spec);
    await putSpec(tx, deploymentId, { number: revision, spec });
    await ensureRoutes(tx, deployment, { services: servicesOf(spec), domain });
    const commit = await findCommit(tx, { deploymentId, revision, service: ONLY_SERVICE });
    if (isCompose(spec) && commit !== null) await pinServices(tx, { deploymentId, revision, commit, spec });
    const { kept } = await decideWhatStays(tx, deployment, operation);
    const message = messageOf(spec, { reason: found.reason, commit: commit ?? '', kept: Object.keys(kept) });
    await recordEvents(tx, deployment, [{ kind: 'source.read', message, operationId }]);
  });
}

/** @returns what the node's report said; `undefined` for a reading that is over. */
async function takeReading(
  tx: DatabaseTransaction,
  { deploymentId, revision, found }: { deploymentId: string; revision: number; found: 'compose' | 'image' },
): Promise<{ readonly spec: ComposeSpec | null } | undefined> {
  const reading = await tx
    .selectFrom('source_readings')
    .select(['spec', 'found'])
    .where('deployment_id', '=', deploymentId)
    .where('revision', '=', revision)
    .executeTakeFirst();
  if (!reading || reading.found !== null) return undefined;
  await tx
    .updateTable('source_readings')
    .set({ found, spec: null })
    .where('deployment_id', '=', deploymentId)
    .where('revision', '=', revision)
    .execute();
  return { spec: reading.spec };
}

function madeOf(deployment: LockedDeployment, unread: DeploymentSpec, file: ComposeSpec | null): ComposeSpec {
  if (!file) throw new Error('the node has not said what the Compose file says');
  return withFile(unread, inProject(file, deployment.name) as ComposeSpec);
}

/** What is built is built from the commit of the file. */
async function pinServices(
  tx: DatabaseTransaction,
  {
    deploymentId: deployment_id,
    revision,
    commit,
    spec,
  }: {
    readonly deploymentId: string;
    readonly revision: number;
    readonly commit: string;
    readonly spec: ComposeSpec;
  },
): Promise<void> {
  const built = spec.services.filter(({ source }) => source.kind === 'git');
  if (built.length === 0) return;
  await tx
    .insertInto('revision_sources')
    .values(built.map(({ name: service }) => ({ deployment_id, revision, service, commit })))
    .onConflict((conflict) => conflict.doNothing())
    .execute();
}

function messageOf(
  spec: DeploymentSpec,
  { reason, commit, kept }: { readonly reason: string; readonly commit: string; readonly kept: readonly string[] },
): string {
  const found = `found ${reason}, at commit ${commit.slice(0, SHOWN_DIGITS)}`;
  if (!isCompose(spec)) return found;
  const names = spec.services.map(({ name }) => name);
  const services = `${names.length} ${names.length === 1 ? 'service' : 'services'} (${names.join(', ')})`;
  const rest =
    kept.length === 0 ? '' : `; ${kept.join(', ')} ${kept.length === 1 ? 'stays as it is' : 'stay as they are'}`;
  return `${found}: ${services}${rest}`;
}
