import Table from 'cli-table3';
import { conserve } from '../streamer/conservation.ts';
import { aScale, differences } from '../support/conservation-table.ts';

/**
 * Outages of 60 scaled minutes with the streamer killed three times in each, without a database that stands in and with
 * one: what was counted, stored, lost and doubled.
 *
 * @returns whether nothing was lost or doubled but CPU time that nobody can know.
 */
export async function proveOutage(): Promise<boolean> {
  const proven: boolean[] = [];
  for (const standsIn of [false, true]) proven.push(await proveOne(standsIn));
  return proven.every((holds) => holds);
}

async function proveOne(standsIn: boolean): Promise<boolean> {
  process.stdout.write(standsIn ? '\nWith a database that stands in:\n' : '\nWith nothing but the disk:\n');
  const found = await conserve(aScale('long', { standsIn }));
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
  const { rows, doubled, dropped, spooled, stoodIn, stoodInLater, seenMeanwhile, drainShare } = found;
  const elsewhere = `${spooled} waited on the disk at the end of the outage, ${stoodIn} in the database that stood in`;
  process.stdout.write(`${rows} rows stored, ${doubled} double, ${dropped} dropped; ${elsewhere}\n`);
  if (seenMeanwhile) {
    const { rows: seen, doubled: twice } = seenMeanwhile;
    process.stdout.write(`a reader saw ${seen} rows then, ${twice} of them twice; ${stoodInLater} were not moved\n`);
  }
  process.stdout.write(`the outage's rows were there after ${(100 * drainShare).toFixed(1)} % of its time\n`);
  const exact = Object.entries(lost).filter(([name]) => !name.startsWith('cpu'));
  const isExact = exact.every(([, difference]) => difference === 0) && doubled === 0 && dropped === 0;
  return isExact && stoodInLater === 0 && (seenMeanwhile?.doubled ?? 0) === 0;
}
