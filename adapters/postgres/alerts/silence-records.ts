import type { Selectable } from 'kysely';
import type { Silence } from '../../../domain/alerts/silences.ts';
import { DomainError, notFound } from '../../../domain/errors.ts';
import type { Database } from '../database.ts';
import { isForeignKeyViolation } from '../errors.ts';
import { claimMutation, type Mutation } from '../mutation-keys.ts';
import type { AlertTables } from '../schema-alerts.ts';

/** A silence as it is stored. */
export type SilenceRecord = Selectable<AlertTables['silences']>;

/** What to silence; `organizationId` is `null` for everything. */
export interface NewSilence extends Mutation {
  readonly id: string;
  readonly organizationId: string | null;
  readonly rule: string | null;
  readonly deploymentId: string | null;
  readonly nodeId: string | null;
  readonly until: Date;
  readonly reason: string;
  readonly actorUserId: string;
}

/** Silences of an organization that hold at the same time, at most. */
const MOST_SILENCES = 200;

/** Reads the silences that hold. */
export async function readSilences(db: Database, now: Date): Promise<Silence[]> {
  const rows = await db
    .selectFrom('silences')
    .select(['organization_id', 'rule', 'deployment_id', 'node_id', 'until'])
    .where('until', '>', now)
    .execute();
  return rows.map((row) => ({
    ...{ organizationId: row.organization_id, rule: row.rule, deploymentId: row.deployment_id, nodeId: row.node_id },
    untilMs: row.until.getTime(),
  }));
}

/** Makes a silence. @throws IDEMPOTENCY_CONFLICT, INVALID_ARGUMENT (too many), NOT_FOUND */
export async function createSilence(db: Database, silence: NewSilence): Promise<SilenceRecord> {
  const { id: proposed, organizationId, idempotencyKey, requestHash } = silence;
  try {
    return await db.transaction().execute(async (tx) => {
      const scope = organizationId ?? silence.actorUserId;
      const { resourceId: id, isFirst } = await claimMutation(tx, {
        ...{ scope, resourceId: proposed, idempotencyKey, requestHash },
      });
      if (isFirst) {
        const held = await listSilences(tx, organizationId);
        if (held.length >= MOST_SILENCES) throw tooMany();
        await tx
          .insertInto('silences')
          .values({
            ...{ id, organization_id: organizationId, rule: silence.rule, deployment_id: silence.deploymentId },
            ...{ node_id: silence.nodeId, until: silence.until, reason: silence.reason },
            actor_user_id: silence.actorUserId,
          })
          .execute();
      }
      const stored = await tx.selectFrom('silences').selectAll().where('id', '=', id).executeTakeFirst();
      if (!stored) throw notFound('silence');
      return stored;
    });
  } catch (error) {
    throw isForeignKeyViolation(error) ? notFound('deployment or node') : error;
  }
}

/** Lists silences that hold, oldest first: of an organization, or all of them. */
export async function listSilences(db: Database, organizationId: string | null): Promise<SilenceRecord[]> {
  return await db
    .selectFrom('silences')
    .selectAll()
    .where('until', '>', new Date())
    .$if(organizationId !== null, (query) => query.where('organization_id', '=', organizationId ?? ''))
    .orderBy('created_at')
    .orderBy('id')
    .limit(MOST_SILENCES)
    .execute();
}

/** Ends a silence: of an organization, or with `null` whosever it is. @throws NOT_FOUND */
export async function deleteSilence(
  db: Database,
  { organizationId, silenceId }: { readonly organizationId: string | null; readonly silenceId: string },
): Promise<void> {
  const deleted = await db
    .deleteFrom('silences')
    .where('id', '=', silenceId)
    .$if(organizationId !== null, (query) => query.where('organization_id', '=', organizationId ?? ''))
    .returning('id')
    .executeTakeFirst();
  if (!deleted) throw notFound('silence');
}

function tooMany(): DomainError {
  return new DomainError('INVALID_ARGUMENT', `${MOST_SILENCES} silences hold already, which is all there may be`, {
    hint: 'End some of them, or make one that holds of more.',
  });
}
