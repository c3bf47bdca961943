import { setTimeout as delay } from 'node:timers/promises';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import type { ContainerEvent, LogLine } from '../../domain/container.ts';
import { LABEL } from '../../domain/naming.ts';
import { openTestDocker, type TestDocker } from '../../test/support/docker.ts';
import { type LogFrame, readLogFrames } from './log-frames.ts';

vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

let test: TestDocker;
beforeAll(async () => {
  test = await openTestDocker();
});
afterAll(() => test?.remove());

async function run(script: string): Promise<string> {
  const labels = { [LABEL.managed]: 'true', [LABEL.instance]: test.instance, [LABEL.replica]: 'r1-0' };
  const container = await test.client.createContainer({
    Image: test.image,
    Cmd: ['/bin/sh', '-c', script],
    Labels: labels,
    HostConfig: { LogConfig: { Type: 'json-file', Config: {} } },
  });
  await container.start();
  return container.id;
}

async function collect(lines: AsyncIterable<LogLine>, most = Number.POSITIVE_INFINITY): Promise<LogLine[]> {
  const all: LogLine[] = [];
  for await (const line of lines) {
    all.push(line);
    if (all.length >= most) break;
  }
  return all;
}

const never = new AbortController().signal;

describe('the log of a container', () => {
  it('tells streams apart, keeps order within each, and has times to the nanosecond', async () => {
    const containerId = await run('echo one; echo two; echo wrong >&2');
    await test.client.getContainer(containerId).wait();
    const lines = await collect(test.docker.streamLogs({ containerId, tail: 100, follow: true, after: null }, never));
    expect(lines.filter((line) => line.stream === 'stdout').map((line) => line.text)).toEqual(['one', 'two']);
    expect(lines.filter((line) => line.stream === 'stderr').map((line) => line.text)).toEqual(['wrong']);
    for (const line of lines) expect(line.at).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z$/);
  });

  it('goes on after any line without repeating or missing one', async () => {
    const containerId = await run('for i in $(seq 1 50); do echo $i; done');
    await test.client.getContainer(containerId).wait();
    const all = await collect(test.docker.streamLogs({ containerId, tail: 100, follow: false, after: null }, never));
    expect(all.map((line) => line.text)).toEqual(Array.from({ length: 50 }, (_, index) => String(index + 1)));
    for (const at of [0, 17, 48]) {
      const after = all[at]?.at ?? '';
      const rest = await collect(test.docker.streamLogs({ containerId, tail: 0, follow: false, after }, never));
      expect(rest.map((line) => line.text)).toEqual(all.slice(at + 1).map((line) => line.text));
    }
  });

  it('cuts a long line at 16 KiB and goes on with the next', async () => {
    const containerId = await run('head -c 100000 /dev/zero | tr "\\0" x; echo; echo after');
    await test.client.getContainer(containerId).wait();
    const lines = await collect(test.docker.streamLogs({ containerId, tail: 100, follow: false, after: null }, never));
    expect(lines.map((line) => line.text.length)).toEqual([16 * 1024, 5]);
  });

  it('is followed while the container runs, and ends when the reader leaves', async () => {
    const containerId = await run('i=0; while true; do i=$((i+1)); echo $i; sleep 0.05; done');
    const stop = new AbortController();
    const lines = await collect(
      test.docker.streamLogs({ containerId, tail: 0, follow: true, after: null }, stop.signal),
      5,
    );
    expect(lines).toHaveLength(5);
    const aborted = collect(test.docker.streamLogs({ containerId, tail: 0, follow: true, after: null }, stop.signal));
    stop.abort(new Error('left'));
    await expect(aborted).rejects.toThrow();
    await test.docker.removeContainer(containerId);
  });

  it('has a tail for error messages', async () => {
    const containerId = await run('for i in $(seq 1 50); do echo $i; done');
    await test.client.getContainer(containerId).wait();
    const tail = await test.docker.readLogTail(containerId, 3);
    expect(tail.map((line) => line.text)).toEqual(['48', '49', '50']);
  });

  it('of no container is not found', async () => {
    const request = { containerId: '0'.repeat(64), tail: 1, follow: true, after: null };
    await expect(collect(test.docker.streamLogs(request, never))).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });
});

it('reads frames the same however the stream is cut into pieces', async () => {
  const frames = fc.array(fc.record({ stream: fc.constantFrom('stdout', 'stderr'), payload: fc.uint8Array() }));
  await fc.assert(
    fc.asyncProperty(frames, fc.integer({ min: 1, max: 40 }), async (wanted, size) => {
      const whole = Buffer.concat(wanted.map(({ stream, payload }) => frame(stream === 'stdout' ? 1 : 2, payload)));
      const pieces: Buffer[] = [];
      for (let start = 0; start < whole.length; start += size) pieces.push(whole.subarray(start, start + size));
      const read: LogFrame[] = [];
      for await (const one of readLogFrames(fromArray(pieces))) read.push(one);
      expect(read.map(({ stream, payload }) => [stream, payload.toString('hex')])).toEqual(
        wanted.map(({ stream, payload }) => [stream, Buffer.from(payload).toString('hex')]),
      );
    }),
  );
});

function frame(stream: number, payload: Uint8Array): Buffer {
  const header = Buffer.from([stream, 0, 0, 0, 0, 0, 0, 0]);
  header.writeUInt32BE(payload.length, 4);
  return Buffer.concat([header, payload]);
}

async function* fromArray(pieces: Buffer[]): AsyncGenerator<Buffer> {
  yield* pieces;
}

describe('the events of a daemon', () => {
  it('begin with a connection, then tell every start, exit and removal of this installation', async () => {
    const stop = new AbortController();
    const seen: ContainerEvent[] = [];
    const following = (async () => {
      for await (const event of test.docker.followEvents(stop.signal)) seen.push(event);
    })();
    await expect.poll(() => seen).toContainEqual({ kind: 'connected' });
    const containerId = await run('exit 4');
    await test.client.getContainer(containerId).wait();
    await test.docker.removeContainer(containerId);
    await expect.poll(() => seen).toContainEqual({ kind: 'removed', containerId });
    const mine = seen.filter((event) => event.kind !== 'connected' && event.containerId === containerId);
    expect(mine.map((event) => event.kind)).toEqual(['changed', 'exited', 'removed']);
    expect(mine).toContainEqual({ kind: 'exited', containerId, exitCode: 4 });
    stop.abort();
    await Promise.race([following, delay(5_000).then(() => expect.unreachable('following goes on'))]);
  });
});
