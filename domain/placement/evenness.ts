import { share } from './room.ts';
import type { Capacity } from './strategy.ts';

/** What is reserved of a node, and what it may reserve in all. */
export interface Filling {
  readonly reserved: Capacity;
  readonly capacity: Capacity;
}

const PARTS = ['cpuCores', 'memoryBytes'] as const;

/** Shares are compared to a billionth, so it makes no difference in which order fractions of cores were added up. */
const STEPS = 1e9;

/** A share or a difference of shares, without what rounding left in its last digits. */
export function steady(value: number): number {
  return Math.round(value * STEPS) / STEPS;
}

/** How full a node is with so much more: the larger of its two shares. More than 1 where more is reserved than there is. */
export function fullnessWith({ reserved, capacity }: Filling, { cpuCores, memoryBytes }: Capacity): number {
  const cpu = share(reserved.cpuCores + cpuCores, capacity.cpuCores);
  return steady(Math.max(cpu, share(reserved.memoryBytes + memoryBytes, capacity.memoryBytes)));
}

/** How full a node is. */
export function fullnessOf(node: Filling): number {
  return fullnessWith(node, NOTHING);
}

const NOTHING: Capacity = { cpuCores: 0, memoryBytes: 0 };

/** What several nodes may reserve together. */
export function capacityOfAll(nodes: Iterable<Pick<Filling, 'capacity'>>): Capacity {
  const all = { cpuCores: 0, memoryBytes: 0 };
  for (const { capacity } of nodes) for (const part of PARTS) all[part] += capacity[part];
  return all;
}

/**
 * How uneven nodes are filled: how far their shares of cores and of memory are from those of the whole cluster, as the
 * root of the mean square, each node counted by its capacity. 0 where all are alike, 0.1 for ten points.
 */
export function imbalanceOf(nodes: readonly Filling[]): number {
  const all = capacityOfAll(nodes);
  let sum = 0;
  for (const part of PARTS) {
    const reserved = nodes.reduce((total, node) => total + node.reserved[part], 0);
    const mean = share(reserved, all[part]);
    for (const node of nodes) {
      const { [part]: whole } = node.capacity;
      sum += share(whole, all[part]) * (share(node.reserved[part], whole) - mean) ** 2;
    }
  }
  return Math.sqrt(sum / PARTS.length);
}

/** Something that would go from one node to another. */
export interface Transfer {
  readonly size: Capacity;
  readonly from: Filling;
  readonly to: Filling;
}

/**
 * By how much a transfer lowers the square of {@link imbalanceOf} (`gain`), and how much of the cluster it moves
 * (`size`), both times the same number. Since what is reserved in all stays as it is, only the two nodes count.
 */
export function gainOf({ size, from, to }: Transfer, all: Capacity): { readonly gain: number; readonly size: number } {
  let gain = 0;
  let moved = 0;
  for (const part of PARTS) {
    const { [part]: amount } = size;
    const weight = share(amount, all[part]);
    const given = 2 * from.reserved[part] - amount;
    const taken = 2 * to.reserved[part] + amount;
    gain += weight * (share(given, from.capacity[part]) - share(taken, to.capacity[part]));
    moved += weight;
  }
  return { gain, size: moved };
}
