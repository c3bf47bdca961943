import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { cleaningUp } from '../../bench/clean-up.ts';
import { createContext } from '../../scripts/machine/context.mjs';
import { ensureGuestImage } from '../../scripts/machine/guest-image.mjs';
import { reportingFailure } from '../../scripts/setup.mjs';
import { REPORTS_DIR } from '../faults/report.ts';
import { CGROUP_DRIVERS } from './cgroup-driver.ts';
import { runGuest } from './guest.ts';
import { type Cgroup2Report, holds, readDriverOutcome, toTable } from './report.ts';
import { FACTS_FILE, type GuestFacts, SHARES } from './shares.ts';

const ROOT = join(import.meta.dirname, '../..');
/** For each driver: many times what it takes on a machine that has nothing else to do. */
const TIMEOUT_MS = 45 * 60_000;

const { positionals: named } = parseArgs({ allowPositionals: true });
const unknown = named.filter((name) => !CGROUP_DRIVERS.some((driver) => driver === name));
if (unknown.length > 0) {
  process.stderr.write(`no cgroup driver is called ${unknown.join(', ')}; there are: ${CGROUP_DRIVERS.join(', ')}\n`);
  process.exit(2);
}

await reportingFailure(async () => {
  const context = createContext();
  const drivers = CGROUP_DRIVERS.filter((driver) => named.length === 0 || named.includes(driver));
  const image = await ensureGuestImage(context);
  const consoleFile = join(REPORTS_DIR, 'logs', 'cgroup2-console.log');
  mkdirSync(join(REPORTS_DIR, 'logs'), { recursive: true });
  const report = await cleaningUp(async (stack) => {
    const results = mkdtempSync(join(tmpdir(), 'obiente-cgroup2-'));
    stack.defer(() => rmSync(results, { recursive: true, force: true }));
    const program = [`${SHARES.checkout}/node_modules/.bin/node`, `${SHARES.checkout}/test/cgroup2/in-guest.ts`];
    const run = { image, shared: { checkout: ROOT, results }, command: [...program, ...drivers], consoleFile };
    const step = {
      what: 'running the suites in a guest',
      why: `a processor is emulated; ${consoleFile} has what it says`,
    };
    await context.progress.during(step, () => runGuest(stack, { ...run, timeoutMs: TIMEOUT_MS * drivers.length }));
    const facts = join(results, FACTS_FILE);
    const guest = existsSync(facts) ? (JSON.parse(readFileSync(facts, 'utf8')) as GuestFacts) : undefined;
    return { guest, drivers: drivers.map((driver) => readDriverOutcome(results, driver)) } satisfies Cgroup2Report;
  });
  writeFileSync(join(REPORTS_DIR, 'cgroup2.json'), `${JSON.stringify(report, null, 2)}\n`);
  const { guest } = report;
  process.stdout.write(toTable(report));
  process.stdout.write(
    guest
      ? `Docker ${guest.docker}, Linux ${guest.kernel}, ${guest.systemd}\n`
      : `the guest ended before its end; ${consoleFile} has what it said\n`,
  );
  process.exitCode = holds(report) ? 0 : 1;
});
