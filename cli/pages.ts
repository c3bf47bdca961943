import type { PageResponse } from '../gen/obiente/cloud/v1/resources_pb.ts';

/** Largest page that the API gives. */
const PAGE_SIZE = 200;

/** What lists have in common: a page of items, and where the list goes on. */
interface Page<Item> {
  readonly items: readonly Item[];
  readonly page: PageResponse | undefined;
}

/** Reads a list from its first page to its last. */
export async function allPages<Item>(
  fetch: (page: { size: number; token: string }) => Promise<Page<Item>>,
): Promise<readonly Item[]> {
  const all: Item[] = [];
  for (let token = ''; ; ) {
    const { items, page } = await fetch({ size: PAGE_SIZE, token });
    all.push(...items);
    if (!page?.nextToken || page.nextToken === token) return all;
    token = page.nextToken;
  }
}
