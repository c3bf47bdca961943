import { parseArgs } from 'node:util';
import Table from 'cli-table3';
import { cleaningUp } from '../../bench/clean-up.ts';
import { type ClusterKind, openCluster } from '../cluster/cluster.ts';
import { runLifecycle, STEP_NAMES, type Step } from './lifecycle.ts';

const RUNTIMES = ['docker', 'swarm', 'swarm-workers'] as const;

type Runtime = (typeof RUNTIMES)[number];

/** Three hosts of each; of the last one, one manages the swarm and two are workers. */
const KINDS: Record<Runtime, ClusterKind> = {
  docker: { runtime: 'docker' },
  swarm: { runtime: 'swarm' },
  'swarm-workers': { runtime: 'swarm', managers: 1 },
};

const { positionals: wanted } = parseArgs({ allowPositionals: true });
const unknown = wanted.filter((name) => !RUNTIMES.some((runtime) => runtime === name));
if (unknown.length > 0) {
  process.stderr.write(`no runtime is called ${unknown.join(', ')}; there are: ${RUNTIMES.join(', ')}\n`);
  process.exit(2);
}
process.exit(await runAll(RUNTIMES.filter((runtime) => wanted.length === 0 || wanted.includes(runtime))));

/** One cluster after the other, each gone before the next: they would take each other's processors. */
async function runAll(runtimes: readonly Runtime[]): Promise<number> {
  const results = new Map<Runtime, readonly Step[]>();
  for (const runtime of runtimes) {
    process.stdout.write(`\nRUNTIME=${runtime}\n`);
    await cleaningUp(async (stack) => {
      results.set(runtime, await runLifecycle(await openCluster(stack, KINDS[runtime]), tell));
    });
  }
  process.stdout.write(`\n${toTable(results)}\n`);
  const hold = [...results.values()].every(holds);
  return hold ? 0 : 1;
}

function tell(step: Step): void {
  process.stdout.write(`${step.name}: ${toText(step)}\n`);
  for (const text of step.breaks) process.stdout.write(`  ${text}\n`);
}

function holds(steps: readonly Step[]): boolean {
  return steps.length === STEP_NAMES.length && steps.every(({ breaks }) => breaks.length === 0);
}

/** The runtimes side by side. */
function toTable(results: ReadonlyMap<Runtime, readonly Step[]>): string {
  const table = new Table({ head: ['step', ...results.keys()], style: { head: [], border: [] } });
  for (const name of STEP_NAMES) {
    const steps = [...results.values()].map((all) => all.find((step) => step.name === name));
    table.push([name, ...steps.map((step) => (step ? toText(step) : 'not reached'))]);
  }
  return table.toString();
}

function toText({ tookMs, failed, breaks }: Step): string {
  const verdict = breaks.length === 0 ? 'holds' : 'BROKEN';
  const requests = failed ? `, ${failed[0]} of ${failed[1]} requests failed` : '';
  return `${verdict} in ${(tookMs / 1000).toFixed(1)} s${requests}`;
}
