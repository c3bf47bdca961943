import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { Client } from 'pg';
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
  // Whoever waits for an answer is told of it as well.
  client.on('error', () => undefined);
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
  const buffer = Buffer.allocUnsafe(rows.length * (2 + 8 + 12 * (width - 1)));
  const view = new DataView(buffer.buffer, buffer.byteOffset, buffer.byteLength);
  let at = 0;
  for (const row of rows) {
    view.setInt16(at, width);
    view.setInt32(at + 2, 4);
    view.setInt32(at + 6, row[0] ?? 0);
    at += 10;
    for (let column = 1; column < width; column += 1) {
      const number = row[column] ?? 0;
      const value = column === 1 ? (number - EPOCH_MS) * 1_000 : number;
      const high = Math.floor(value / 2 ** 32);
      view.setInt32(at, 8);
      view.setInt32(at + 4, high);
      view.setUint32(at + 8, value - high * 2 ** 32);
      at += 12;
    }
  }
  return [BINARY_HEADER, buffer, BINARY_END];
}
