import { setImmediate } from 'node:timers/promises';
import { sql } from 'kysely';
import { DomainError } from '../../domain/errors.ts';
import { type RowBatch, toBatches } from '../../domain/metrics/rows.ts';
import type { RowStore } from '../../streamer/ports.ts';
import { asDatabaseError } from '../postgres/errors.ts';
import type { MetricsDatabase } from './metrics-database.ts';
import { migrateMetrics } from './migrate.ts';
import { writeStatement } from './write-rows.ts';

/** Rows of one statement. */
const PIECE_ROWS = 5_000;

/**
 * Creates the store of one node's minute rows.
 *
 * The tables are made at the first write if they are missing and the role may make them; a role that can only insert
 * finds them there. All rows go through functions of the database, which is all that such a role may call.
 *
 * @param nodeId tells this node's id, which exists before the first row.
 */
export function createRowStore(db: MetricsDatabase, nodeId: () => string): RowStore {
  let isPrepared = false;

  const prepare = async (): Promise<void> => {
    if (isPrepared) return;
    const { rows } = await sql<{ found: boolean }>`
      select to_regproc('write_container_minutes') is not null as found
    `.execute(db);
    if (!rows[0]?.found) await migrateMetrics(db);
    isPrepared = true;
  };

  const writePieces = async (on: MetricsDatabase, pieces: readonly RowBatch[]): Promise<number> => {
    let stored = 0;
    let sent = Promise.resolve(0);
    for (const piece of pieces) {
      // The server stores what has gone out while the next piece is put into its form.
      await setImmediate();
      const statement = writeStatement(nodeId(), piece).compile(on);
      stored += await sent;
      sent = on.executeQuery(statement).then(({ rows }) => rows[0]?.stored ?? 0);
      sent.catch(() => undefined);
    }
    return stored + (await sent);
  };
  const write = async (batch: RowBatch): Promise<number> => {
    const pieces = toBatches(batch, PIECE_ROWS);
    try {
      if (pieces.length === 1) return await writePieces(db, pieces);
      return await db.transaction().execute(async (tx) => await writePieces(tx, pieces));
    } catch (error) {
      throw asRefusal(error) ?? error;
    }
  };

  return {
    insertRows: async (batch) => {
      if (batch.rows.length === 0) return 0;
      try {
        await prepare();
        return await write(batch);
      } catch (error) {
        throw asDatabaseError(error);
      }
    },
    probe: async () => {
      try {
        await sql`select 1`.execute(db);
      } catch (error) {
        throw asDatabaseError(error);
      }
    },
  };
}

/** SQLSTATE classes of what is wrong with the rows themselves: values, constraints, too many of them. */
const WRONG_ROWS = /^(22|23|54)/;

/** Only this is final. Missing rights or tables are somebody's mistake, and the rows wait until it is put right. */
function asRefusal(error: unknown): DomainError | undefined {
  const code = error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : '';
  const isWrong = error instanceof RangeError || WRONG_ROWS.test(code);
  return isWrong ? new DomainError('INVALID_ARGUMENT', `rows were refused: ${(error as Error).message}`) : undefined;
}
