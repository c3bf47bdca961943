import { createHash, randomBytes } from 'node:crypto';

/** A source of choices that can be replayed: the same seed and labels give the same choices in the same order. */
export interface Random {
  /** From 0 up to, but not, 1. */
  next(): number;
  /** A whole number from 0 up to, but not, `below`. */
  integer(below: number): number;
  pick<Item>(items: readonly Item[]): Item;
  /** As many of the items as asked for, or all there are, in their own order. */
  sample<Item>(items: readonly Item[], count: number): Item[];
  /** A source of its own for a part of the work, so that parts may run in any order. */
  fork(label: string): Random;
}

/** Chooses the seed of a run: the one in `FAULT_SEED`, so that a run can be replayed, else a new one. */
export function chooseSeed(environment: Readonly<Record<string, string | undefined>> = process.env): string {
  return environment.FAULT_SEED || randomBytes(4).toString('hex');
}

/** Creates a source. Numbers are the first 48 bits of a SHA-256 over seed, label and position. */
export function createRandom(seed: string): Random {
  let position = 0;
  const next = (): number => {
    position += 1;
    const digest = createHash('sha256').update(`${seed}/${position}`).digest();
    return digest.readUIntBE(0, 6) / 2 ** 48;
  };
  const integer = (below: number): number => Math.floor(next() * below);
  return {
    next,
    integer,
    pick: (items) => {
      if (items.length === 0) throw new Error('there is nothing to pick from');
      return items[integer(items.length)] as (typeof items)[number];
    },
    sample: (items, count) => {
      const order = items.map((item, index) => ({ item, index, rank: next() }));
      const chosen = order.toSorted((one, other) => one.rank - other.rank).slice(0, count);
      return chosen.toSorted((one, other) => one.index - other.index).map(({ item }) => item);
    },
    fork: (label) => createRandom(`${seed}/${label}`),
  };
}
