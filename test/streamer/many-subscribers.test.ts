import { constants } from 'node:http2';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { Code, ConnectError } from '@connectrpc/connect';
import { afterEach, describe, expect, it } from 'vitest';
import { eventually } from '../support/eventually.ts';
import { openGatewayRig, openRawStream } from '../support/gateway-rig.ts';
import { aSample } from '../support/samples.ts';

const DEPLOYMENT = aSample().deploymentId;
const ANOTHER = '00000000-0000-4000-8000-00000000000b';

/** `OBIENTE_CONNECTS=10000` is the full form, which takes a minute. */
const CONNECTS = Number(process.env.OBIENTE_CONNECTS ?? 400);
const AT_ONCE = 50;

const GOOD = 200;
const ROUNDS = 60;

/** What the slow one reads in ten rounds: about four of them. */
const SLOW_BYTES = 50_000;

setFlagsFromString('--expose_gc');
const collectGarbage = runInNewContext('gc') as () => void;

type Rig = Awaited<ReturnType<typeof openGatewayRig>>;

describe('the gateway of a streamer', () => {
  let rig: Rig;

  afterEach(async () => await rig.close());

  /** A round with enough in it that a window of a few bytes is full at once. */
  function aRound(round: number) {
    const ids = Array.from({ length: 20 }, (_, index) => `${index}`.padStart(64, 'c'));
    return ids.map((containerId) => aSample({ round, atMs: 600_000 + round, containerId }));
  }

  it(`keeps nothing of ${CONNECTS} who connect and leave`, { timeout: 600_000 }, async () => {
    rig = await openGatewayRig();
    rig.cache.add(aRound(1), 600_000);
    const shared = rig.client();
    const comeAndGo = async (client = shared): Promise<void> => {
      const leave = new AbortController();
      try {
        for await (const { samples } of client.streamSamples({ deploymentId: DEPLOYMENT }, { signal: leave.signal })) {
          if (samples.length !== 20) throw new Error(`${samples.length} samples came`);
          break;
        }
      } catch (error) {
        if (ConnectError.from(error).code !== Code.Canceled) throw error;
      } finally {
        leave.abort();
      }
    };
    const many = async (count: number): Promise<void> => {
      for (let done = 0; done < count; done += AT_ONCE) {
        await Promise.all(Array.from({ length: AT_ONCE }, () => comeAndGo()));
        rig.subscribers.publish(aRound(2 + done));
      }
      await eventually(() => expect(rig.subscribers.state().active).toBe(0));
    };
    const heapBytes = (): number => {
      collectGarbage();
      return process.memoryUsage().heapUsed;
    };
    await many(CONNECTS / 2);
    const before = heapBytes();
    await many(CONNECTS);
    // What stays behind of a connection is kilobytes; some are still being closed at first.
    const bound = before + 1_000_000 + 200 * CONNECTS;
    await eventually(() => expect(heapBytes()).toBeLessThan(bound), { patienceMs: 20_000, everyMs: 500 });
  });

  it(`serves ${GOOD} good ones every round beside a stuck, a slow and an idle one`, { timeout: 120_000 }, async () => {
    let clockMs = 0;
    rig = await openGatewayRig({
      bufferRounds: 4,
      slowAfterMs: 5_000,
      stuckAfterMs: 100_000,
      monotonic: () => clockMs,
    });
    const leave = new AbortController();
    const received = Array.from({ length: GOOD }, (): number[] => []);
    let missedByGood = 0n;
    const clients = Array.from({ length: 4 }, () => rig.client());
    const read = async (index: number): Promise<void> => {
      const client = clients[index % clients.length] ?? rig.client();
      try {
        const stream = client.streamSamples({ deploymentId: DEPLOYMENT }, { signal: leave.signal });
        for await (const { samples, missedRounds, backfill } of stream) {
          if (!backfill) received[index]?.push(samples.length);
          missedByGood += missedRounds;
        }
      } catch (error) {
        if (ConnectError.from(error).code !== Code.Canceled) throw error;
      }
    };
    const reading = received.map((_, index) => read(index));
    const [stuck, slow, idle] = [
      openRawStream(rig.url, DEPLOYMENT, 0),
      openRawStream(rig.url, DEPLOYMENT, 16_384),
      openRawStream(rig.url, ANOTHER, 65_535),
    ];
    let [slowBytes, idleBytes] = [0, 0];
    let [isSlowOpen, isIdleOpen] = [true, true];
    // Read by hand only: what is not read stays in the windows, and then with the server.
    slow.stream.on('readable', () => undefined);
    slow.stream.on('close', () => {
      isSlowOpen = false;
    });
    const readSome = async (): Promise<void> => {
      const wanted = slowBytes + SLOW_BYTES;
      const take = (): void => {
        slowBytes += (slow.stream.read() as Buffer | null)?.length ?? 0;
        expect(slowBytes).toBeGreaterThan(wanted);
      };
      await eventually(take, { everyMs: 2 });
    };
    idle.stream.on('data', (data: Buffer) => {
      idleBytes += data.length;
    });
    idle.stream.on('close', () => {
      isIdleOpen = false;
    });
    await eventually(() => expect(rig.subscribers.state().active).toBe(GOOD + 3));

    for (let round = 1; round <= ROUNDS; round += 1) {
      clockMs += 5_000;
      rig.subscribers.publish(aRound(round));
      await eventually(() => expect(received.every(({ length }) => length === round)).toBe(true), { everyMs: 2 });
      if (round % 10 === 0) await readSome();
      rig.subscribers.sweep();
    }
    expect(missedByGood).toBe(0n);
    expect(received.flat().every((length) => length === 20)).toBe(true);
    expect(rig.subscribers.state()).toMatchObject({ active: GOOD + 2, closed: 1 });
    await eventually(() => expect(stuck.stream.rstCode).toBe(constants.NGHTTP2_ENHANCE_YOUR_CALM));
    expect([isSlowOpen, isIdleOpen]).toEqual([true, true]);
    expect(idleBytes).toBeGreaterThan(0);
    expect(rig.subscribers.state().overflows).toBeGreaterThan(0);

    leave.abort();
    for (const { session } of [stuck, slow, idle]) session.destroy();
    await Promise.all(reading);
    await eventually(() => expect(rig.subscribers.state().active).toBe(0));
  });
});
