const EIGHTHS = ['', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/** What a chart shows. */
export interface ChartOptions {
  /** One a step, oldest first; `null` is a gap. */
  readonly values: readonly (number | null)[];
  /** Columns and lines of the area that values are drawn in. */
  readonly width: number;
  readonly height: number;
  /** The scale ends here or at the largest value, whichever is more. */
  readonly ceiling: number;
  readonly format: (value: number) => string;
  /** What stands below the left and the right end. */
  readonly ends: readonly [from: string, to: string];
}

/**
 * Draws values as columns of blocks over a scale that begins at zero.
 *
 * Where there are more values than columns a column shows the largest of its values, so that no peak is lost. A column of
 * gaps only stays empty, down to the axis, and the axis is broken there: nothing known looks different from nothing used.
 */
export function chart(options: ChartOptions): string {
  const columns = toColumns(options.values, options.width);
  const known = columns.filter((value) => value !== null);
  const top = Math.max(options.ceiling, ...known, Number.MIN_VALUE);
  const labels = [options.format(top), ...Array.from({ length: options.height - 1 }, () => ''), ''];
  const margin = Math.max(...labels.map(({ length }) => length), options.format(0).length);
  const lines = Array.from({ length: options.height }, (_, line) => {
    const floor = options.height - 1 - line;
    const cells = columns.map((value) => blockAt(value, { top, height: options.height, floor })).join('');
    return `${(labels[line] ?? '').padStart(margin)} ${line === 0 ? '┤' : '│'}${cells}`.trimEnd();
  });
  const axis = columns.map((value) => (value === null ? ' ' : '─')).join('');
  const [from, to] = options.ends;
  const gap = Math.max(1, columns.length - from.length - to.length);
  return [
    ...lines,
    `${options.format(0).padStart(margin)} ┼${axis}`.trimEnd(),
    `${' '.repeat(margin + 2)}${from}${' '.repeat(gap)}${to}`,
  ].join('\n');
}

function toColumns(values: readonly (number | null)[], width: number): readonly (number | null)[] {
  const count = Math.min(width, values.length);
  return Array.from({ length: count }, (_, column) => {
    const [from, to] = [column, column + 1].map((edge) => Math.floor((edge * values.length) / count));
    const known = values.slice(from, to).filter((value) => value !== null);
    return known.length > 0 ? Math.max(...known) : null;
  });
}

function blockAt(value: number | null, { top, height, floor }: { top: number; height: number; floor: number }): string {
  if (value === null) return ' ';
  const eighths = Math.round((Math.max(0, value) / top) * height * 8) - floor * 8;
  return EIGHTHS[Math.min(8, Math.max(0, eighths))] || ' ';
}
