import Table from 'cli-table3';
import { conserve } from '../streamer/conservation.ts';
import { aScale, differences } from '../support/conservation-table.ts';

/**
 * An outage of 60 scaled minutes with the streamer killed three times in it: what was counted, stored, lost and doubled.
 *
 * @returns whether nothing was lost or doubled but CPU time that nobody can know.
 */
export async function proveOutage(): Promise<boolean> {
  const found = await conserve(aScale('long'));
  const table = new Table({
    head: ['counter', 'the kernel counted', 'stored', 'lost'],
    style: { head: [], border: [] },
  });
  const lost = differences(found);
  for (const [name, difference] of Object.entries(lost)) {
    const key = name as keyof typeof lost;
    table.push([name, found.expected[key], found.stored[key], difference]);
  }
  process.stdout.write(`${table.toString()}\n`);
  const { rows, doubled, dropped, spooled, drainShare } = found;
  process.stdout.write(
    `${rows} rows stored, ${doubled} double, ${dropped} dropped; ${spooled} waited on the disk at most\n`,
  );
  process.stdout.write(`the outage's rows were there after ${(100 * drainShare).toFixed(1)} % of its time\n`);
  const exact = Object.entries(lost).filter(([name]) => !name.startsWith('cpu'));
  return exact.every(([, difference]) => difference === 0) && doubled === 0 && dropped === 0;
}
