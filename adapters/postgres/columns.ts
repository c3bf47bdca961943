import type { ColumnType } from 'kysely';

/** Filled by the database at the insert, never written by code. */
export type ByDatabase<Type> = ColumnType<Type, never, never>;

/** A time that the database fills in unless it is given. Milliseconds. */
export type Moment = ColumnType<Date, Date | undefined, Date>;

/** JSON that is written as text and read as a value. */
export type Json<Value> = ColumnType<Value, string, string>;

/** JSON of a column that starts as `null` unless it is given. */
export type OptionalJson<Value> = ColumnType<Value | null, string | null | undefined, string | null>;

/** A column that starts as `null` unless it is given. */
export type Optional<Type> = ColumnType<Type | null, Type | null | undefined, Type | null>;

/** A time that a column holds, or JSON that was made of it. */
export function toTime(value: Date | string | null): Date | null {
  return value === null ? null : new Date(value);
}
