import { parseArgs } from 'node:util';
import { DOCKER_TREES } from '../../scripts/machine/docker-tree.mjs';
import { proveEngines } from './engines.ts';
import { proveOutage } from './outage.ts';

/** What is stored over an outage; with `--docker`, what Docker's own counters say on each of these engines. */
const { values } = parseArgs({ options: { docker: { type: 'string' } } });
const versions = values.docker?.split(',') ?? [];
const unheard = versions.filter((version) => !DOCKER_TREES.includes(version));
if (unheard.length > 0) {
  process.stderr.write(`--docker: ${unheard.join(', ')} is none of ${DOCKER_TREES.join(', ')}\n`);
  process.exit(2);
}
process.exit((await (versions.length > 0 ? proveEngines(versions) : proveOutage())) ? 0 : 1);
