import type { CreatedCursor } from '../../adapters/postgres/page.ts';
import { type KEY_FORM, type ListIdentity, pageSize, parsePageToken, toPageToken } from '../../domain/pagination.ts';
import type { PageRequest } from '../../gen/obiente/cloud/v1/resources_pb.ts';

/** One page of rows, and where the list goes on. */
export interface Page<Row> {
  readonly rows: readonly Row[];
  readonly page: { readonly nextToken: string };
}

/** How a list is read and ordered. */
export interface PageReader<Row> {
  readonly identity: ListIdentity;
  readonly forms: readonly (keyof typeof KEY_FORM)[];
  readonly keyOf: (row: Row) => readonly string[];
  readonly read: (wanted: { limit: number; after: readonly string[] | undefined }) => Promise<readonly Row[]>;
}

/** Reads one page. It asks for one row more than fits, so the last page says that it is the last. */
export async function readPage<Row>(request: PageRequest | undefined, reader: PageReader<Row>): Promise<Page<Row>> {
  const size = pageSize(request?.size ?? 0);
  const after = parsePageToken(request?.token ?? '', reader.identity, reader.forms);
  const found = await reader.read({ limit: size + 1, after });
  const rows = found.slice(0, size);
  const last = rows.at(-1);
  const more = found.length > size && last !== undefined;
  return { rows, page: { nextToken: more ? toPageToken(reader.identity, reader.keyOf(last)) : '' } };
}

/** Forms of the key of a list that is ordered by creation. */
export const CREATED_FORMS = ['timestamp', 'uuid'] as const;

/** Key of a row in a list that is ordered by creation. */
export function createdKey(row: { readonly createdAt: Date; readonly id: string }): readonly string[] {
  return [row.createdAt.toISOString(), row.id];
}

/** Cursor of a list that is ordered by creation. */
export function createdCursor(after: readonly string[] | undefined): CreatedCursor | undefined {
  const [createdAt, id] = after ?? [];
  return createdAt !== undefined && id !== undefined ? { createdAt: new Date(createdAt), id } : undefined;
}
