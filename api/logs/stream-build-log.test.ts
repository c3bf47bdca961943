import { describe, expect, it, vi } from 'vitest';
import type { LogChunk } from '../../adapters/postgres/build-logs.ts';
import { type BuildLine, streamBuildLog, type WantedBuildLog } from './stream-build-log.ts';

/** A build whose log a test writes; `of` are the services of revision 1 that were built. */
function aBuild(...of: string[]) {
  const chunks: LogChunk[] = [];
  const end = { isOver: false, isComplete: false, overForMs: 0 };
  let isGone = false;
  let listener = (): void => undefined;
  const subscribed = vi.fn();
  return {
    subscribed,
    print: (firstNumber: number, ...texts: string[]) => {
      chunks.push({ firstNumber, lines: texts.map((text) => [firstNumber, text]) });
      listener();
    },
    end: (how: Partial<typeof end>) => {
      Object.assign(end, how);
      listener();
    },
    remove: () => {
      isGone = true;
      listener();
    },
    deps: {
      findBuilds: async (revision: number) =>
        isGone || revision > 1 ? [] : of.map((service) => ({ revision: 1, service, ...end })),
      readChunk: async (_: unknown, after: number) =>
        chunks.find(({ firstNumber, lines }) => firstNumber + lines.length - 1 > after),
      subscribe: (added: () => void) => {
        listener = added;
        subscribed(true);
        return () => subscribed(false);
      },
      heartbeatMs: 20,
    },
  };
}

type Build = ReturnType<typeof aBuild>;

/** Reads in the background. */
function follow(build: Build, changes: Partial<WantedBuildLog> = {}, abort = new AbortController()) {
  const lines: BuildLine[] = [];
  let heartbeats = 0;
  const read = async (): Promise<void> => {
    const wanted = { revision: 0, service: '', after: 0, follow: true, ...changes };
    for await (const line of streamBuildLog(build.deps, wanted, abort.signal)) {
      if (line) lines.push(line);
      else heartbeats += 1;
    }
  };
  const ended = read();
  ended.catch(() => undefined);
  return { ended, abort, texts: () => lines.map(({ text }) => text), heartbeats: () => heartbeats };
}

describe('the stream of a build’s log', () => {
  it('goes on with new lines, and ends when all of a build that is over has been sent', async () => {
    const build = aBuild('app');
    build.print(1, 'a', 'b');
    const reader = follow(build);
    await expect.poll(reader.texts).toEqual(['a', 'b']);
    await expect.poll(reader.heartbeats).toBeGreaterThan(0);
    build.print(3, 'c');
    await expect.poll(reader.texts).toEqual(['a', 'b', 'c']);
    build.end({ isOver: true });
    build.print(4, 'd');
    build.end({ isComplete: true });
    await reader.ended;
    expect(reader.texts()).toEqual(['a', 'b', 'c', 'd']);
    expect(build.subscribed.mock.lastCall).toEqual([false]);
  });

  it('goes on after a number, in the middle of what is stored as one', async () => {
    const build = aBuild('app');
    build.print(1, 'a', 'b', 'c');
    build.end({ isOver: true, isComplete: true });
    const reader = follow(build, { after: 2 });
    await reader.ended;
    expect(reader.texts()).toEqual(['c']);
  });

  it('does not wait for ever for last lines that never come', async () => {
    const build = aBuild('app');
    build.print(1, 'a');
    build.end({ isOver: true, overForMs: 4_900 });
    const reader = follow(build);
    await expect.poll(reader.texts).toEqual(['a']);
    build.end({ overForMs: 5_000 });
    await reader.ended;
  });

  it('ends at what there is when it is not to follow, with its deployment, and with who reads', async () => {
    const build = aBuild('app');
    build.print(1, 'a');
    const once = follow(build, { follow: false });
    await once.ended;
    expect(once.texts()).toEqual(['a']);
    expect(build.subscribed).not.toHaveBeenCalled();
    const left = follow(build);
    const removed = follow(build);
    await expect.poll(removed.texts).toEqual(['a']);
    left.abort.abort(new Error('left'));
    await expect(left.ended).rejects.toThrow('left');
    build.remove();
    await removed.ended;
  });

  it.each([
    ['a revision without a build', { revision: 2 }, 'NOT_FOUND'],
    ['a service that was not built', { service: 'db' }, 'NOT_FOUND'],
    ['no service where two were built', {}, 'INVALID_ARGUMENT'],
  ])('refuses %s', async (_, changes, code) => {
    await expect(follow(aBuild('web', 'worker'), changes).ended).rejects.toMatchObject({ code });
  });
});
