import Table from 'cli-table3';
import { plainText } from './plain-text.ts';
import type { Terminal } from './terminal.ts';

const NO_BORDERS = {
  top: '',
  'top-mid': '',
  'top-left': '',
  'top-right': '',
  bottom: '',
  'bottom-mid': '',
  'bottom-left': '',
  'bottom-right': '',
  left: '',
  'left-mid': '',
  mid: '',
  'mid-mid': '',
  right: '',
  'right-mid': '',
  middle: '  ',
};

/** A column: its heading, what a row shows there, and how that is coloured. */
export interface Column<Row> {
  readonly heading: string;
  readonly cell: (row: Row) => string;
  readonly paint?: (text: string, row: Row) => string;
  readonly isNumber?: boolean;
}

/** Lays rows out below headings. What cells hold is made harmless; colours come from columns only. */
export function table<Row>(
  terminal: Pick<Terminal, 'paint'>,
  columns: readonly Column<Row>[],
  rows: readonly Row[],
): string {
  const sheet = new Table({
    chars: NO_BORDERS,
    style: { 'padding-left': 0, 'padding-right': 0, head: [], border: [], compact: true },
    head: columns.map(({ heading }) => terminal.paint.dim(heading)),
    colAligns: columns.map(({ isNumber }) => (isNumber ? 'right' : 'left')),
  });
  for (const row of rows) {
    sheet.push(
      columns.map(({ cell, paint }) => {
        const text = plainText(cell(row));
        return paint && terminal.paint.level > 0 ? paint(text, row) : text;
      }),
    );
  }
  return sheet
    .toString()
    .split('\n')
    .map((line) => line.trimEnd())
    .join('\n');
}
