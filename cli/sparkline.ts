const BARS = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/**
 * Draws the newest values as bars, oldest first.
 *
 * The scale begins at zero and ends at the largest value shown or at `ceiling`, whichever is more, so that an idle
 * application looks idle.
 */
export function sparkline(values: readonly number[], options: { width: number; ceiling: number }): string {
  const shown = values.slice(-options.width).map((value) => (Number.isFinite(value) ? Math.max(0, value) : 0));
  const top = Math.max(options.ceiling, ...shown, Number.MIN_VALUE);
  return shown.map((value) => BARS[barOf(value, top)] ?? BARS[0]).join('');
}

function barOf(value: number, top: number): number {
  return Math.min(BARS.length - 1, Math.floor((value / top) * BARS.length));
}
