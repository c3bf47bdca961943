import { type DeploymentSpec, ONLY_SERVICE } from '../../domain/spec.ts';
import type { Database } from './database.ts';
import { findOperations, type OperationRecord } from './operations.ts';
import type { PinnedImage } from './revision-images.ts';

/** A revision: what was wanted at one time, and the images that it ran. */
export interface RevisionRecord {
  readonly number: number;
  readonly spec: DeploymentSpec;
  readonly images: readonly PinnedImage[];
  /** The commit that its Git source stands for; empty until that is known, and without such a source. */
  readonly commit: string;
  /** The revision that it is a copy of. */
  readonly copyOf: number | null;
  /** The operation that made it. */
  readonly operation: OperationRecord | undefined;
  readonly createdAt: Date;
}

/** Lists the revisions of a deployment, newest first. */
export async function listRevisions(
  db: Database,
  wanted: { readonly deploymentId: string; readonly limit: number; readonly before?: number | undefined },
): Promise<RevisionRecord[]> {
  const { deploymentId, limit, before } = wanted;
  const rows = await db
    .selectFrom('revisions')
    .select(['number', 'spec', 'copy_of as copyOf', 'operation_id as operationId', 'created_at as createdAt'])
    .where('deployment_id', '=', deploymentId)
    .$if(before !== undefined, (query) => query.where('number', '<', before ?? 0))
    .orderBy('number', 'desc')
    .limit(limit)
    .execute();
  const [newest, oldest] = [rows[0]?.number ?? 0, rows.at(-1)?.number ?? 0];
  const images = await db
    .selectFrom('revision_images')
    .select(['service', 'revision', 'image_digest as digest'])
    .where('deployment_id', '=', deploymentId)
    .where('revision', '>=', oldest)
    .where('revision', '<=', newest)
    .orderBy('service')
    .execute();
  const sources = await db
    .selectFrom('revision_sources')
    .select(['revision', 'commit'])
    .where('deployment_id', '=', deploymentId)
    .where('service', '=', ONLY_SERVICE)
    .where('revision', '>=', oldest)
    .where('revision', '<=', newest)
    .execute();
  const commits = new Map(sources.map(({ revision, commit }) => [revision, commit]));
  const operations = await findOperations(
    db,
    rows.map(({ operationId }) => operationId),
  );
  return rows.map(({ operationId, ...row }) => ({
    ...row,
    commit: commits.get(row.number) ?? '',
    images: images.filter(({ revision }) => revision === row.number),
    operation: operations.get(operationId),
  }));
}
