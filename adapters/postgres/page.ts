import { type ExpressionBuilder, type ExpressionWrapper, type ReferenceExpression, type SqlBool, sql } from 'kysely';
import type { Schema } from './schema.ts';

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
export function isAfter<Table extends keyof Schema>(
  table: Table,
  { createdAt, id }: CreatedCursor,
): (eb: ExpressionBuilder<Schema, Table>) => ExpressionWrapper<Schema, Table, SqlBool> {
  const created = sql.ref<Date>(`${table}.created_at`);
  const key = sql.ref<string>(`${table}.id`);
  return (eb) => {
    const columns = eb.refTuple(
      created as ReferenceExpression<Schema, Table>,
      key as ReferenceExpression<Schema, Table>,
    );
    return eb(columns as never, '>', eb.tuple(createdAt, id) as never) as ExpressionWrapper<Schema, Table, SqlBool>;
  };
}

/** Rows whose uuid column is one of these: one array parameter, so there may be any number of them. */
export function isOneOf(column: string, ids: readonly string[]) {
  return sql<SqlBool>`${sql.ref(column)} = ANY(${ids}::uuid[])`;
}
