import { closeSync, openSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import type { Adapter, AdapterPayload } from 'oidc-provider';

/** Records of one kind that are kept; the oldest go first, so a flood of one kind leaves the others alone. */
const MAX_RECORDS_PER_KIND = 1000;

const SCHEMA = `
  PRAGMA journal_mode = WAL;
  CREATE TABLE IF NOT EXISTS records (
    kind TEXT NOT NULL,
    id TEXT NOT NULL,
    grant_id TEXT,
    user_code TEXT,
    uid TEXT,
    payload TEXT NOT NULL,
    expires_at INTEGER,
    consumed_at INTEGER,
    UNIQUE (kind, id)
  );
  CREATE INDEX IF NOT EXISTS records_grant ON records (grant_id);
  CREATE INDEX IF NOT EXISTS records_user_code ON records (kind, user_code);
  CREATE INDEX IF NOT EXISTS records_uid ON records (kind, uid);
  CREATE INDEX IF NOT EXISTS records_expiry ON records (expires_at);
`;

/** Keeps what the provider must remember (grants, refresh tokens, browsers' sign-ins), over restarts. */
export interface GrantStore {
  /** The provider's view of one kind of record. */
  adapter(kind: string): Adapter;
  close(): void;
}

/** Opens the store in a file that only its owner may read; it holds refresh tokens. */
export function openGrantStore(path: string): GrantStore {
  closeSync(openSync(path, 'a', 0o600));
  const database = new DatabaseSync(path);
  database.exec(SCHEMA);
  const statements = prepare(database);
  return { adapter: (kind) => createAdapter(kind, statements), close: () => database.close() };
}

function prepare(database: DatabaseSync) {
  const live = '(expires_at IS NULL OR expires_at > ?)';
  return {
    upsert: database.prepare(`
      INSERT INTO records (kind, id, grant_id, user_code, uid, payload, expires_at) VALUES (?, ?, ?, ?, ?, ?, ?)
      ON CONFLICT (kind, id) DO UPDATE SET grant_id = excluded.grant_id, user_code = excluded.user_code,
        uid = excluded.uid, payload = excluded.payload, expires_at = excluded.expires_at`),
    find: database.prepare(`SELECT payload, consumed_at FROM records WHERE kind = ? AND id = ? AND ${live}`),
    findByUserCode: database.prepare(
      `SELECT payload, consumed_at FROM records WHERE kind = ? AND user_code = ? AND ${live}`,
    ),
    findByUid: database.prepare(`SELECT payload, consumed_at FROM records WHERE kind = ? AND uid = ? AND ${live}`),
    consume: database.prepare('UPDATE records SET consumed_at = ? WHERE kind = ? AND id = ?'),
    destroy: database.prepare('DELETE FROM records WHERE kind = ? AND id = ?'),
    revokeGrant: database.prepare('DELETE FROM records WHERE kind = ? AND grant_id = ?'),
    removeExpired: database.prepare('DELETE FROM records WHERE expires_at <= ?'),
    removeOldest: database.prepare(`
      DELETE FROM records WHERE kind = ?1 AND rowid NOT IN
        (SELECT rowid FROM records WHERE kind = ?1 ORDER BY rowid DESC LIMIT ${MAX_RECORDS_PER_KIND})`),
  };
}

type Statements = ReturnType<typeof prepare>;

function createAdapter(kind: string, statements: Statements): Adapter {
  return {
    upsert: async (id, payload, expiresIn) => {
      const expiresAt = expiresIn === undefined ? null : seconds() + expiresIn;
      const { grantId = null, userCode = null, uid = null } = payload;
      statements.removeExpired.run(seconds());
      statements.upsert.run(kind, id, grantId, userCode, uid, JSON.stringify(payload), expiresAt);
      statements.removeOldest.run(kind);
    },
    find: async (id) => toPayload(statements.find.get(kind, id, seconds())),
    findByUserCode: async (userCode) => toPayload(statements.findByUserCode.get(kind, userCode, seconds())),
    findByUid: async (uid) => toPayload(statements.findByUid.get(kind, uid, seconds())),
    consume: async (id) => void statements.consume.run(seconds(), kind, id),
    destroy: async (id) => void statements.destroy.run(kind, id),
    revokeByGrantId: async (grantId) => void statements.revokeGrant.run(kind, grantId),
  };
}

function seconds(): number {
  return Math.floor(Date.now() / 1000);
}

function toPayload(row: Record<string, unknown> | undefined): AdapterPayload | undefined {
  if (!row) return undefined;
  const payload: AdapterPayload = JSON.parse(String(row.payload));
  return row.consumed_at === null ? payload : { ...payload, consumed: row.consumed_at };
}
