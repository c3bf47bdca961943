import { invalidArgument } from './errors.ts';

/** Size of a page when the caller names none. */
export const DEFAULT_PAGE_SIZE = 50;

/** Largest page; larger ones are refused by the contract. */
export const MAX_PAGE_SIZE = 200;

/** A list, with everything that decides what is in it and in which order. */
export interface ListIdentity {
  /** Name of the list, for example `deployments`. */
  readonly list: string;
  /** Its filters, in a fixed order; empty ones too. */
  readonly filters: readonly string[];
}

/** What a token holds of the last row: the keys by which the list is ordered. */
export type PageKey = readonly string[];

/** Forms that the keys of a page can have; what a token claims is held against them before it reaches a query. */
export const KEY_FORM = {
  timestamp: (text: string) => /^\d{4}-\d{2}-\d{2}T[\d:.]+Z$/.test(text) && !Number.isNaN(Date.parse(text)),
  uuid: (text: string) => /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(text),
  number: (text: string) => /^[1-9]\d{0,14}$/.test(text),
  name: (text: string) => /^[a-z0-9.-]{1,253}$/.test(text),
} as const;

/** How many rows a page has. */
export function pageSize(asked: number): number {
  return asked === 0 ? DEFAULT_PAGE_SIZE : Math.min(asked, MAX_PAGE_SIZE);
}

/** Makes the token after which a list goes on. It holds no secrets and needs no signature: it is only a position. */
export function toPageToken({ list, filters }: ListIdentity, after: PageKey): string {
  const text = JSON.stringify([list, filters, after]);
  const bytes = String.fromCharCode(...new TextEncoder().encode(text));
  return btoa(bytes).replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '');
}

/**
 * Reads a token; `undefined` for the first page.
 *
 * @throws INVALID_ARGUMENT for anything that this list did not hand out: another list's, other filters', made up.
 */
export function parsePageToken(
  token: string,
  identity: ListIdentity,
  forms: readonly (keyof typeof KEY_FORM)[],
): PageKey | undefined {
  if (token === '') return undefined;
  const [list, filters, after] = decoded(token);
  const belongs = list === identity.list && JSON.stringify(filters) === JSON.stringify(identity.filters);
  const fits =
    Array.isArray(after) &&
    after.length === forms.length &&
    forms.every((form, index) => typeof after[index] === 'string' && KEY_FORM[form](after[index]));
  if (belongs && fits) return after as PageKey;
  throw invalidArgument('page.token', 'not a token of this list with these filters', 'next_token of the page before');
}

function decoded(token: string): readonly unknown[] {
  try {
    const bytes = atob(token.replaceAll('-', '+').replaceAll('_', '/'));
    const text = new TextDecoder('utf-8', { fatal: true }).decode(Uint8Array.from(bytes, (byte) => byte.charCodeAt(0)));
    const value: unknown = JSON.parse(text);
    return Array.isArray(value) ? value : [];
  } catch {
    // Whatever is wrong with it, it is not a token of this platform.
    return [];
  }
}
