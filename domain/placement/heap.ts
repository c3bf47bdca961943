/** A queue of which the least comes first. Items must not change while they are in it, but for the first. */
export interface Heap<Item> {
  /** The least; `undefined` when there is none. */
  readonly first: () => Item | undefined;
  readonly push: (item: Item) => void;
  /** Puts the first in its place again after it has grown. */
  readonly sink: () => void;
  /** Takes the first out. */
  readonly drop: () => void;
}

/** Creates a binary heap. @param compare as for sorting; it decides between any two. */
export function createHeap<Item>(compare: (one: Item, other: Item) => number): Heap<Item> {
  const items: Item[] = [];

  const sink = (): void => {
    const moved = items[0];
    if (moved === undefined) return;
    for (let at = 0; ; ) {
      const left = 2 * at + 1;
      const isRightLess = compare(items[left + 1] ?? moved, items[left] ?? moved) < 0;
      const below = isRightLess ? left + 1 : left;
      const child = items[below];
      if (child === undefined || compare(child, moved) >= 0) {
        items[at] = moved;
        return;
      }
      items[at] = child;
      at = below;
    }
  };
  return {
    first: () => items[0],
    push: (added) => {
      let at = items.push(added) - 1;
      while (at > 0) {
        const above = (at - 1) >> 1;
        const parent = items[above];
        if (parent === undefined || compare(parent, added) <= 0) break;
        items[at] = parent;
        at = above;
      }
      items[at] = added;
    },
    sink,
    drop: () => {
      const last = items.pop();
      if (last === undefined || items.length === 0) return;
      items[0] = last;
      sink();
    },
  };
}
