import { runOnNode24 } from './run-on-node24.mjs';

/** @typedef {readonly [name: string, command: string, ...args: string[]]} Gate */

/**
 * What can be said of the sources without running them, in the order in which a mistake shows soonest.
 *
 * @type {readonly Gate[]}
 */
export const STATIC_GATES = [
  ['format and lint', 'biome', 'ci', '--error-on-warnings', ...(process.stdout.isTTY ? [] : ['--colors=off'])],
  ['types', 'tsc', '--noEmit', '-p', '.'],
  ['contract', 'buf', 'lint'],
  ['contract stays compatible', 'buf', 'breaking', '--against', 'proto/released.binpb'],
];

/**
 * Runs every gate, also behind one that fails, and says of each how it ended and how long it took.
 *
 * @param {import('./context.mjs').SetupContext} context
 * @param {readonly Gate[]} gates
 * @returns {Promise<number>} the first exit code other than 0
 */
export async function runGates(context, gates) {
  let failure = 0;
  for (const [name, command, ...args] of gates) {
    const startedAt = Date.now();
    const code = await runOnNode24(context, command, args);
    const seconds = ((Date.now() - startedAt) / 1000).toFixed(1);
    process.stderr.write(`${code === 0 ? '✓' : '✗'} ${name}, ${seconds} s\n`);
    failure ||= code;
  }
  return failure;
}
