import { describe, expect, it } from 'vitest';
import { DomainError } from '../../domain/errors.ts';
import { eventually } from '../../test/support/eventually.ts';
import { openPositions } from './cursor.ts';
import { type LogSource, type MergedLine, type SourceLine, type SourceRequest, streamLogs } from './stream-logs.ts';

/** Containers that a test writes lines to, ends and breaks. */
function createFakeNodes() {
  const containers = new Map<string, { lines: SourceLine[]; ended: boolean; error?: Error; wake: () => void }>();
  const opened: { containerId: string; request: SourceRequest }[] = [];
  const sources: LogSource[] = [];
  let gone = false;
  let notify = () => {};
  let taken = 0;

  const containerOf = (id: string) => {
    const found = containers.get(id) ?? { lines: [], ended: false, wake: () => {} };
    containers.set(id, found);
    return found;
  };
  return {
    opened,
    taken: () => taken,
    add: (replicaId: string, containerId = `c-${replicaId}`) => {
      sources.push({ replicaId, containerId, nodeId: 'n', gatewayUrl: 'http://n' });
      containerOf(containerId);
      notify();
    },
    print: (containerId: string, ...times: number[]) => {
      for (const at of times)
        containerOf(containerId).lines.push({ atNanos: BigInt(at), stream: 'stdout', text: `${at}` });
      containerOf(containerId).wake();
    },
    end: (containerId: string, error?: Error) => {
      Object.assign(containerOf(containerId), { ended: true, error });
      containerOf(containerId).wake();
    },
    revive: (containerId: string) => Object.assign(containerOf(containerId), { ended: false, error: undefined }),
    remove: () => {
      gone = true;
      notify();
    },
    deps: {
      readSources: async () => (gone ? undefined : [...sources]),
      subscribe: (listener: () => void) => {
        notify = listener;
        return () => {
          notify = () => {};
        };
      },
      open: async function* (source: LogSource, request: SourceRequest, signal: AbortSignal) {
        opened.push({ containerId: source.containerId, request });
        const container = containerOf(source.containerId);
        const after = request.afterNanos;
        const old = container.lines.filter((line) => after === undefined || line.atNanos > after);
        let next = container.lines.length - (after === undefined ? Math.min(request.tail, old.length) : old.length);
        for (;;) {
          for (; next < container.lines.length; next += 1) {
            taken += 1;
            yield container.lines[next] as SourceLine;
          }
          if (container.error) throw container.error;
          if (container.ended || !request.follow) return;
          await new Promise<void>((resolve, reject) => {
            container.wake = resolve;
            signal.addEventListener('abort', () => reject(signal.reason), { once: true });
          });
        }
      },
      heartbeatMs: 60_000,
      retryMs: { first: 1, longest: 4 },
    },
  };
}

function start(
  nodes: ReturnType<typeof createFakeNodes>,
  { tail = 100, follow = true, cursor = '', heartbeatMs = 60_000 } = {},
) {
  const leave = new AbortController();
  const positions = openPositions('d', cursor);
  const wanted = { tail, follow, positions, resumed: cursor !== '' };
  const lines = streamLogs({ ...nodes.deps, heartbeatMs }, wanted, leave.signal);
  const next = async (count: number): Promise<MergedLine[]> => {
    const found: MergedLine[] = [];
    while (found.length < count) {
      const step = await lines.next();
      if (step.done) break;
      found.push(step.value);
    }
    return found;
  };
  return { next, leave: () => leave.abort(new Error('left')), lines };
}

function textsOf(lines: readonly MergedLine[]): string[] {
  return lines.map(({ line }) => `${line?.replicaId}:${line?.text}`);
}

describe('a stream of logs', () => {
  it('ends after the newest lines of each container when nobody follows', async () => {
    const nodes = createFakeNodes();
    nodes.add('r1-0');
    nodes.add('r1-1');
    nodes.print('c-r1-0', 1, 2, 3);
    nodes.print('c-r1-1', 2);
    const lines = textsOf(await start(nodes, { tail: 2, follow: false }).next(10));
    expect(lines.sort()).toEqual(['r1-0:2', 'r1-0:3', 'r1-1:2']);
  });

  it('goes on after a cursor without losing or repeating a line, of containers that started since as well', async () => {
    const nodes = createFakeNodes();
    nodes.add('r1-0');
    nodes.print('c-r1-0', 1, 2);
    const [, second] = await start(nodes).next(2);
    nodes.print('c-r1-0', 3);
    nodes.add('r2-0');
    nodes.print('c-r2-0', 4);
    const again = start(nodes, { cursor: second?.cursor ?? '', follow: false });
    expect(textsOf(await again.next(10)).sort()).toEqual(['r1-0:3', 'r2-0:4']);
  });

  it('takes in containers that come up while it follows', async () => {
    const nodes = createFakeNodes();
    nodes.add('r1-0');
    nodes.print('c-r1-0', 1);
    const stream = start(nodes);
    await stream.next(1);
    nodes.add('r2-0');
    nodes.print('c-r2-0', 5);
    expect(textsOf(await stream.next(1))).toEqual(['r2-0:5']);
    stream.leave();
  });

  it('takes up a broken stream after its last line', async () => {
    const nodes = createFakeNodes();
    nodes.add('r1-0');
    nodes.print('c-r1-0', 1);
    const stream = start(nodes);
    await stream.next(1);
    nodes.end('c-r1-0', new DomainError('NODE_UNAVAILABLE', 'away'));
    const more = stream.next(1);
    await eventually(() => expect(nodes.opened.length).toBeGreaterThan(1));
    nodes.revive('c-r1-0');
    nodes.print('c-r1-0', 2);
    expect(textsOf(await more)).toEqual(['r1-0:2']);
    expect(nodes.opened.at(-1)?.request.afterNanos).toBe(1n);
    stream.leave();
  });

  it('fails when a node is away and nobody follows, but not for a container that is gone', async () => {
    const nodes = createFakeNodes();
    nodes.add('r1-0');
    nodes.end('c-r1-0', new DomainError('NOT_FOUND', 'gone'));
    expect(await start(nodes, { follow: false }).next(1)).toEqual([]);
    nodes.end('c-r1-0', new DomainError('NODE_UNAVAILABLE', 'away'));
    await expect(start(nodes, { follow: false }).next(1)).rejects.toMatchObject({ code: 'NODE_UNAVAILABLE' });
  });

  it('says that it lives when nothing is printed', async () => {
    const nodes = createFakeNodes();
    nodes.add('r1-0');
    const stream = start(nodes, { heartbeatMs: 1 });
    expect((await stream.next(2)).map(({ line }) => line)).toEqual([undefined, undefined]);
    stream.leave();
  });

  it('ends when the deployment is gone and its containers have ended', async () => {
    const nodes = createFakeNodes();
    nodes.add('r1-0');
    nodes.print('c-r1-0', 1);
    const stream = start(nodes);
    await stream.next(1);
    nodes.end('c-r1-0');
    nodes.remove();
    expect(await stream.next(1)).toEqual([]);
  });

  it('holds no more than 256 lines for a reader who does not read', async () => {
    const nodes = createFakeNodes();
    nodes.add('r1-0');
    nodes.print('c-r1-0', ...Array.from({ length: 5000 }, (_, index) => index + 1));
    const stream = start(nodes, { tail: 10_000 });
    await stream.next(1);
    for (let turn = 0; turn < 100; turn += 1) await new Promise((resolve) => setImmediate(resolve));
    expect(nodes.taken()).toBeLessThanOrEqual(259);
    expect((await stream.next(4999)).at(-1)?.line?.text).toBe('5000');
    stream.leave();
  });

  it('ends with its signal although nothing is printed', async () => {
    const nodes = createFakeNodes();
    nodes.add('r1-0');
    const stream = start(nodes);
    const waiting = stream.next(1);
    stream.leave();
    await expect(waiting).rejects.toThrow('left');
  });
});

describe('a cursor of logs', () => {
  it('fits into 4 KiB whatever the number of replicas, and then repeats lines rather than losing any', () => {
    const positions = openPositions('00000000-0000-4000-8000-000000000000', '');
    const at = 1_790_000_000_000_000_000n;
    for (let index = 0; index < 500; index += 1) positions.passed(`r1000-${index}`, at + BigInt(index));
    const cursor = positions.toCursor();
    expect(cursor.length).toBeLessThanOrEqual(4096);
    const resumed = openPositions('00000000-0000-4000-8000-000000000000', cursor);
    expect(resumed.of('r1000-499')).toBe(at + 499n);
    expect(resumed.of('r1000-17')).toBe(at);
  });

  it.each([
    'x',
    'e30',
    Buffer.from('{"d":"d","r":{"a":"!"}}').toString('base64url'),
    Buffer.from('null').toString('base64url'),
  ])('is refused when these logs did not hand it out: %s', (cursor) => {
    expect(() => openPositions('d', cursor)).toThrow(
      expect.objectContaining({ code: 'INVALID_ARGUMENT', field: 'cursor' }),
    );
  });

  it('is refused for another deployment', () => {
    expect(() => openPositions('other', openPositions('d', '').toCursor())).toThrow();
  });
});
