import { pathToFileURL } from 'node:url';
import { Worker } from 'node:worker_threads';
import { describe, expect, it } from 'vitest';

const SIZE = 256 * 1024;
const A = 'y'.repeat(60_000);

function fill(text: string, size = SIZE): string {
  return text.repeat(Math.floor(size / text.length));
}

function service(keys: string): string {
  return `services: {web: {image: x, ${keys}}}`;
}

function numbered(count: number, toText: (index: number) => string): string {
  return Array.from({ length: count }, (_, index) => toText(index)).join(', ');
}

/** Nine levels of nine aliases each: 387 million texts from a few lines. */
function laughs(): string {
  const levels = 'bcdefghi'
    .split('')
    .map((name, index) => `${name}: &${name} [${numbered(9, () => `*${'abcdefgh'[index]}`)}]`);
  return `a: &a [${numbered(9, () => 'lol')}]\n${levels.join('\n')}\n`;
}

/** Texts that are made to take time or memory, each of the largest size that is read at all, or just beyond. */
const HOSTILE: Readonly<Record<string, string>> = {
  'fifty MiB': 'a'.repeat(50 * 1024 * 1024),
  'a byte too much': `a: ${'x'.repeat(SIZE - 2)}`,
  'lists ten thousand deep': '['.repeat(10_000) + ']'.repeat(10_000),
  'open lists': fill('['),
  'open maps': fill('{a: '),
  'lists in lists by dashes': fill('- '),
  'keys of keys': fill('? '),
  'deep indentation': Array.from({ length: 500 }, (_, depth) => `${' '.repeat(depth)}a:`).join('\n'),
  'different keys': Array.from({ length: SIZE / 10 }, (_, index) => `k${index}: v`)
    .join('\n')
    .slice(0, SIZE),
  'the same key': fill('a: b\n'),
  'short items': fill('- a\n'),
  'short items in brackets': `[${fill('a,', SIZE - 100)}a]`,
  remarks: fill('#\n'),
  'empty lines': fill('\n'),
  'one word after many spaces': `${' '.repeat(SIZE - 1)}a`,
  documents: fill('---\n'),
  tags: fill('- !x a\n'),
  anchors: fill('- &a a\n'),
  aliases: `- &a a\n${fill('- *a\n', SIZE - 100)}`,
  'closing brackets': fill('}'),
  quotes: fill("'"),
  escapes: `"${fill('\\n', SIZE - 2)}"`,
  'one word on many lines': fill('a\n'),
  'a billion laughs': laughs(),
  'a billion laughs by merges': `x: &x {${numbered(1500, (index) => `k${index}: 1`)}}\ny:\n${fill('  - {<<: *x}\n', 20_000)}`,
  'merges of merges': `a: &a {k: 1}\n${'bcdefghijk'
    .split('')
    .map((name, index) => `${name}: &${name} {<<: [${numbered(200, () => `*${'abcdefghij'[index]}`)}]}`)
    .join('\n')}`,
  'one long variable, often': service(`environment: {${numbered(900, (index) => `K${index}: "${'$A'.repeat(100)}"`)}}`),
  'one long variable in defaults': service(`command: "${'${U:-$A}'.repeat(20_000)}"`),
  'variables forty thousand deep': `services: {web: {image: "${'${U:-'.repeat(40_000)}x${'}'.repeat(40_000)}"}}`,
  'variables without an end': `services: {web: {image: "${'${U:-{'.repeat(40_000)}"}}`,
  'wide ranges of ports': service(`ports: [${numbered(2000, (index) => `"0-65535:${index + 1}"`)}]`),
  'many dependencies': service(`depends_on: [${numbered(3000, (index) => `a${index}`)}]`),
  'a long name': `services: {${'a'.repeat(200_000)}: {image: x}}`,
  'a long command': service(`command: "${fill('a ', 200_000)}"`),
  'a long quote': service(`command: 'a "${fill('\\\\', 200_000)}'`),
  'a long duration': service(`healthcheck: {interval: "${fill('1h', 200_000)}x"}`),
  'a long path': service(`working_dir: "${fill('/a', 200_000)}"`),
  'a long image': service(`image: "${fill('a-', 200_000)}"`).replace('image: x, ', ''),
  'a long address': service(`ports: ["${fill('[', 200_000)}:80:80"]`),
};

/** As much as is allowed of everything at once. */
const LARGE = `services:\n${Array.from(
  { length: 50 },
  (_, index) =>
    `  s${index}:\n    image: nginx:1\n    ports: ["80:80"]\n    environment:\n${Array.from({ length: 24 }, (__, v) => `      V${v}: "\${U:-x}"\n`).join('')}`,
).join('')}`;

/** Runs in a thread whose heap is bounded, so that one text too costly ends the thread. */
const THREAD = `
const { parentPort, workerData } = require('node:worker_threads');
import(workerData.module).then(({ parseCompose }) => {
  for (const [name, text] of Object.entries(workerData.texts)) {
    const startMs = performance.now();
    let answer;
    try {
      answer = parseCompose(text, { variables: { A: workerData.A } }).services.length;
    } catch (error) {
      answer = error.code ?? String(error.stack);
    }
    parentPort.postMessage([name, answer, performance.now() - startMs]);
  }
});`;

type Answer = [name: string, answer: unknown, tookMs: number];

async function parseInThread(texts: Readonly<Record<string, string>>): Promise<Answer[]> {
  const module = pathToFileURL(`${import.meta.dirname}/parse-compose.ts`).href;
  const resourceLimits = { maxOldGenerationSizeMb: 64, maxYoungGenerationSizeMb: 16 };
  const worker = new Worker(THREAD, { eval: true, workerData: { module, texts, A }, resourceLimits });
  const answers: Answer[] = [];
  worker.on('message', (answer: Answer) => answers.push(answer));
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  worker.on('error', reject);
  worker.on('exit', () => resolve());
  await promise;
  return answers;
}

/** Of the threads; they take a second or two on a machine that does nothing else. */
const HANGS_MS = 120_000;

describe('a text that is made to cost', { timeout: HANGS_MS }, () => {
  it('is refused within 64 MiB, and soon', async () => {
    // The text of fifty MiB takes most of that memory by itself; it is refused by its length.
    const { 'fifty MiB': huge = '', ...others } = HOSTILE;
    const answers = [...(await parseInThread({ huge })), ...(await parseInThread(others))];
    expect(answers.map(([, answer]) => answer)).toEqual(answers.map(() => 'INVALID_ARGUMENT'));
    expect(answers).toHaveLength(Object.keys(HOSTILE).length);
    // Measured are up to 80 ms of one core. Without the bounds, several of them take minutes.
    expect(answers.filter(([, , tookMs]) => tookMs > 10_000)).toEqual([]);
  });

  it('is told from the largest file that is allowed', async () => {
    expect(await parseInThread({ large: LARGE })).toEqual([['large', 50, expect.any(Number)]]);
  });
});
