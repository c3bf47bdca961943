/** A list of a fixed size, in which the newest takes the place of the oldest. */
export interface Ring<Item> {
  push(item: Item): void;
  /** Drops the oldest. */
  shift(): void;
  readonly size: number;
  readonly oldest: Item | undefined;
  readonly newest: Item | undefined;
  /** From the oldest to the newest. */
  values(): Iterable<Item>;
}

/** Creates an empty ring. Its memory is taken at once, so that a full one costs no more than an empty one. */
export function createRing<Item>(capacity: number): Ring<Item> {
  const slots = new Array<Item | undefined>(capacity).fill(undefined);
  let [first, size] = [0, 0];
  const at = (index: number): Item | undefined => slots[(first + index) % capacity];

  const shift = (): void => {
    if (size === 0) return;
    slots[first] = undefined;
    first = (first + 1) % capacity;
    size -= 1;
  };

  return {
    push: (item) => {
      if (size === capacity) shift();
      slots[(first + size) % capacity] = item;
      size += 1;
    },
    shift,
    get size() {
      return size;
    },
    get oldest() {
      return size === 0 ? undefined : at(0);
    },
    get newest() {
      return size === 0 ? undefined : at(size - 1);
    },
    values: function* () {
      for (let index = 0; index < size; index += 1) yield at(index) as Item;
    },
  };
}
