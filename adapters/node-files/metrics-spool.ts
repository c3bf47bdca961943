import { chmodSync, existsSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { type RowBatch, toBatches } from '../../domain/metrics/rows.ts';
import type { Spool, SpooledBatch, SpoolSize } from '../../streamer/checkpoint.ts';
import { parseCheckpoint } from './checkpoint-file.ts';

/** Where the spool is, and how much it may hold. */
export interface SpoolOptions {
  readonly path: string;
  /** The file in which the version before kept its checkpoint; it is taken over once. */
  readonly formerFile: string;
  /** Bytes of rows at most; what SQLite needs beside them is little. */
  readonly maxBytes: number;
  readonly now: () => number;
  /** Told of a file that cannot be read; it counts as none, and is left beside the new one. */
  readonly onUnusable: (reason: unknown) => void;
  /** Told how many rows had to go for want of room. */
  readonly onDropped: (rows: number) => void;
}

/** Rows of the former checkpoint that go into one batch. */
const FORMER_BATCH_ROWS = 100;

/**
 * With a write-ahead log and a flush at each commit, neither a killed process nor a power cut leaves half of a change. What
 * leaves makes the file smaller.
 */
const SCHEMA = `
  PRAGMA auto_vacuum = FULL;
  PRAGMA journal_mode = WAL;
  PRAGMA synchronous = FULL;
  PRAGMA journal_size_limit = 4194304;
  CREATE TABLE IF NOT EXISTS kept (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
  CREATE TABLE IF NOT EXISTS batches (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    kind TEXT NOT NULL,
    row_count INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    came_ms INTEGER NOT NULL,
    rows TEXT NOT NULL
  ) STRICT;
  CREATE INDEX IF NOT EXISTS batches_kind ON batches (kind, id);
`;

/** Opens the spool of a node: one SQLite file, of one process at a time. */
export function openMetricsSpool(options: SpoolOptions): Spool {
  const db = openOrReplace(options);
  const statements = prepare(db);
  const { size: count } = statements;
  let size = readSize(count.get());

  const inTransaction = <Result>(work: () => Result): Result => {
    db.exec('BEGIN IMMEDIATE');
    try {
      const result = work();
      db.exec('COMMIT');
      return result;
    } catch (error) {
      // A full disk may have ended it already.
      if (db.isTransaction) db.exec('ROLLBACK');
      throw error;
    } finally {
      size = readSize(count.get());
    }
  };

  const insert = (batches: readonly RowBatch[]): SpooledBatch[] =>
    batches.map((batch) => {
      const rows = JSON.stringify(batch.rows);
      const { lastInsertRowid } = statements.insert.run(
        ...[batch.kind, batch.rows.length, Buffer.byteLength(rows), options.now(), rows],
      );
      return { id: Number(lastInsertRowid), batch };
    });

  const drop = (rows: number): void => void statements.addDropped.run(String(rows), rows);

  /** Oldest rows of containers first: there are the most of them. @returns how many rows went. */
  const makeRoom = (): number => {
    let dropped = 0;
    for (let now = readSize(count.get()); now.bytes > options.maxBytes; now = readSize(count.get())) {
      const victim = statements.oldestOf.get('container') ?? statements.oldest.get(0);
      if (!victim) break;
      statements.remove.run(victim.id as number);
      dropped += victim.row_count as number;
    }
    if (dropped > 0) drop(dropped);
    return dropped;
  };

  const spool: Spool = {
    state: () => {
      const text = statements.getKept.get('state')?.value;
      if (typeof text !== 'string') return undefined;
      try {
        return parseCheckpoint(text).state;
      } catch (error) {
        options.onUnusable(error);
        return undefined;
      }
    },
    keep: (batches, state) => {
      const { kept, dropped } = inTransaction(() => {
        const inserted = insert(batches);
        if (state) statements.setKept.run('state', JSON.stringify({ version: 1, state, pending: [] }));
        return { kept: inserted, dropped: makeRoom() };
      });
      if (dropped > 0) options.onDropped(dropped);
      return kept;
    },
    next: (afterId) => {
      const found = statements.oldest.get(afterId);
      if (!found) return undefined;
      return {
        id: found.id as number,
        batch: { kind: found.kind, rows: JSON.parse(found.rows as string) } as RowBatch,
      };
    },
    remove: (id, dropped) => {
      inTransaction(() => {
        statements.remove.run(id);
        if (dropped) drop(dropped.rows);
      });
    },
    replace: (id, pieces) =>
      inTransaction(() => {
        statements.remove.run(id);
        return insert(pieces);
      }),
    size: () => size,
    close: () => db.close(),
  };
  takeOver(spool, options);
  return spool;
}

function prepare(db: DatabaseSync) {
  return {
    insert: db.prepare('INSERT INTO batches (kind, row_count, bytes, came_ms, rows) VALUES (?, ?, ?, ?, ?)'),
    remove: db.prepare('DELETE FROM batches WHERE id = ?'),
    oldest: db.prepare('SELECT id, kind, row_count, rows FROM batches WHERE id > ? ORDER BY id LIMIT 1'),
    oldestOf: db.prepare('SELECT id, row_count FROM batches WHERE kind = ? ORDER BY id LIMIT 1'),
    size: db.prepare(`
      SELECT count(*) AS batches, coalesce(sum(row_count), 0) AS row_count, coalesce(sum(bytes), 0) AS bytes,
        min(came_ms) AS oldest_ms, coalesce((SELECT value FROM kept WHERE name = 'dropped'), '0') AS dropped
      FROM batches`),
    getKept: db.prepare('SELECT value FROM kept WHERE name = ?'),
    setKept: db.prepare('INSERT INTO kept VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value'),
    addDropped: db.prepare(`
      INSERT INTO kept VALUES ('dropped', ?)
      ON CONFLICT (name) DO UPDATE SET value = CAST(CAST(value AS INTEGER) + ? AS TEXT)`),
  };
}

function readSize(found: Record<string, unknown> | undefined): SpoolSize {
  return {
    batches: Number(found?.batches ?? 0),
    rows: Number(found?.row_count ?? 0),
    bytes: Number(found?.bytes ?? 0),
    oldestMs: typeof found?.oldest_ms === 'number' ? found.oldest_ms : null,
    dropped: Number(found?.dropped ?? 0),
  };
}

/** A damaged file is set aside: what it held is lost, and the streamer works. */
function openOrReplace({ path, onUnusable }: SpoolOptions): DatabaseSync {
  try {
    return open(path);
  } catch (error) {
    onUnusable(error);
    for (const suffix of ['-wal', '-shm']) rmSync(`${path}${suffix}`, { force: true });
    if (existsSync(path)) renameSync(path, `${path}.damaged`);
    return open(path);
  }
}

function open(path: string): DatabaseSync {
  const db = new DatabaseSync(path);
  try {
    chmodSync(path, 0o600);
    db.exec(SCHEMA);
    db.prepare('SELECT count(*) FROM batches').get();
    return db;
  } catch (error) {
    db.close();
    throw error;
  }
}

function takeOver(spool: Spool, { formerFile, onUnusable }: SpoolOptions): void {
  if (!existsSync(formerFile)) return;
  try {
    const { state, pending } = parseCheckpoint(readFileSync(formerFile, 'utf8'));
    // A process that was killed between the two steps finds its own state here already.
    if (!spool.state()) spool.keep(toBatches({ kind: 'container', rows: pending }, FORMER_BATCH_ROWS), state);
  } catch (error) {
    onUnusable(error);
  }
  rmSync(formerFile, { force: true });
}
