import { type SqlBool, sql } from 'kysely';

/** Where a list that is ordered by creation goes on: after this item. */
export interface CreatedCursor {
  readonly createdAt: Date;
  readonly id: string;
}

/** A part of a list that is ordered by creation, oldest first. */
export interface CreatedPage {
  readonly limit: number;
  /** `undefined` for the first page. */
  readonly after?: CreatedCursor | undefined;
}

/** Rows after the cursor, in the order of creation and id. */
export function isAfter(
  table:
    | 'organizations'
    | 'projects'
    | 'deployments'
    | 'registry_credentials'
    | 'git_credentials'
    | 'volumes'
    | 'volume_snapshots',
  { createdAt, id }: CreatedCursor,
) {
  const [created, key] = [sql.ref(`${table}.created_at`), sql.ref(`${table}.id`)];
  return sql<SqlBool>`(${created}, ${key}) > (${createdAt}::timestamptz, ${id}::uuid)`;
}

/** Rows whose uuid column is one of these: one array parameter, so there may be any number of them. */
export function isOneOf(column: string, ids: readonly string[]) {
  return sql<SqlBool>`${sql.ref(column)} = ANY(${ids}::uuid[])`;
}

/** The same for a column of texts. */
export function isOneOfTexts(column: string, texts: readonly string[]) {
  return sql<SqlBool>`${sql.ref(column)} = ANY(${texts}::text[])`;
}
