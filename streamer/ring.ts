/** Rows of numbers, of which the newest takes the place of the oldest. */
export interface Ring {
  /** Adds a row; one value a column. */
  push(row: readonly number[]): void;
  /** Drops the oldest row. */
  shift(): void;
  readonly size: number;
  /** A value, of the oldest row at index 0. `NaN` beyond the rows that are there. */
  at(index: number, column: number): number;
}

/** What a ring takes, and never more: 8 bytes a value. */
export function ringBytes(shape: RingShape): number {
  return shape.rows * shape.columns * Float64Array.BYTES_PER_ELEMENT;
}

/** How large a ring is. */
export interface RingShape {
  readonly rows: number;
  readonly columns: number;
}

/**
 * Creates an empty ring. Its memory is taken at once and in one piece, so that a full one costs no more than an empty one,
 * and none of it is looked at by the garbage collector.
 *
 * Values are doubles: whole numbers are exact up to 2^53, as everywhere before.
 */
export function createRing({ rows, columns }: RingShape): Ring {
  const values = new Float64Array(rows * columns);
  let [first, size] = [0, 0];
  const offsetOf = (index: number): number => ((first + index) % rows) * columns;

  const shift = (): void => {
    if (size === 0) return;
    first = (first + 1) % rows;
    size -= 1;
  };

  return {
    push: (row) => {
      if (row.length !== columns) throw new RangeError(`a row has ${columns} values, not ${row.length}`);
      if (size === rows) shift();
      values.set(row, offsetOf(size));
      size += 1;
    },
    shift,
    get size() {
      return size;
    },
    at: (index, column) => (index < 0 || index >= size ? Number.NaN : (values[offsetOf(index) + column] as number)),
  };
}
