import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { Client } from 'pg';
// @ts-expect-error It brings no types.
import { from as copyFrom } from 'pg-copy-streams';

/** A row as numbers: id of its series, its minute (milliseconds since 1970), and the counters. */
export type FlatRow = readonly number[];

/** Signature, flags and length of the extension. */
const BINARY_HEADER = Buffer.concat([Buffer.from('PGCOPY\n\xff\r\n\0', 'latin1'), Buffer.alloc(8)]);
const BINARY_END = Buffer.from([0xff, 0xff]);
const EPOCH_MS = Date.UTC(2000, 0, 1);

/** Bare `COPY` into a table of the same columns with the same key: nothing is faster, and nothing may be there already. */
export async function openCopyFloor(url: string, table: string) {
  const client = new Client({ connectionString: url });
  await client.connect();
  const copy = async (format: string, chunks: () => Iterable<Buffer | string>): Promise<void> => {
    const stream = client.query(copyFrom(`COPY ${table} FROM STDIN ${format}`));
    await pipeline(Readable.from(chunks()), stream);
  };
  return {
    client,
    text: (rows: readonly FlatRow[]) => copy('', () => textOf(rows)),
    binary: (rows: readonly FlatRow[]) => copy('(FORMAT binary)', () => binaryOf(rows)),
    close: () => client.end(),
  };
}

function textOf(rows: readonly FlatRow[]): string[] {
  return [
    rows.map(([series, ms = 0, ...rest]) => `${series}\t${new Date(ms).toISOString()}\t${rest.join('\t')}\n`).join(''),
  ];
}

function binaryOf(rows: readonly FlatRow[]): Buffer[] {
  const width = rows[0]?.length ?? 0;
  const bytes = 2 + 8 + 12 * (width - 1);
  const buffer = Buffer.allocUnsafe(rows.length * bytes);
  let at = 0;
  for (const [series = 0, ms = 0, ...rest] of rows) {
    at = buffer.writeInt16BE(width, at);
    at = buffer.writeInt32BE(4, at);
    at = buffer.writeInt32BE(series, at);
    for (const value of [(ms - EPOCH_MS) * 1_000, ...rest]) {
      at = buffer.writeInt32BE(8, at);
      const high = Math.floor(value / 2 ** 32);
      at = buffer.writeInt32BE(high, at);
      at = buffer.writeUInt32BE(value - high * 2 ** 32, at);
    }
  }
  return [BINARY_HEADER, buffer, BINARY_END];
}
