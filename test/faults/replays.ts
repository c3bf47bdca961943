import { fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import proto from '@temporalio/proto';

const { History } = proto.temporal.api.history.v1;

/** What the replaying process is asked for. */
export interface ReplayTask {
  readonly id: number;
  readonly payloadKey: Uint8Array;
  readonly histories: readonly { readonly workflowId: string; readonly encoded: Uint8Array }[];
}

/** What it answers. */
export interface ReplayAnswer {
  readonly id: number;
  /** Histories that today's workflows do not continue, in words. */
  readonly breaks: readonly string[];
}

/** A history as a client has fetched it. */
export interface FetchedHistory {
  readonly workflowId: string;
  readonly history: proto.temporal.api.history.v1.IHistory;
}

/** Replays histories with today's workflows. */
export interface Replays {
  /** @returns which do not replay, in words */
  replay(payloadKey: Uint8Array, histories: readonly FetchedHistory[]): Promise<readonly string[]>;
}

/**
 * Starts a process that replays. One of its own, since replaying keeps a process busy for seconds, and this one passes
 * the heartbeats of nodes on.
 */
export async function startReplays(stack: AsyncDisposableStack): Promise<Replays> {
  const child = fork(join(import.meta.dirname, 'replay-child.ts'), { serialization: 'advanced' });
  stack.defer(async () => {
    if (child.connected) child.disconnect();
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
  });
  const waiting = new Map<number, (breaks: readonly string[]) => void>();
  const ready = Promise.withResolvers<void>();
  const died = new Promise<never>((_, reject) => {
    child.once('exit', (code) => reject(new Error(`the replaying process ended with code ${code}`)));
  });
  died.catch(() => undefined);
  child.on('message', (message: 'ready' | ReplayAnswer) => {
    if (message === 'ready') return ready.resolve();
    waiting.get(message.id)?.(message.breaks);
    waiting.delete(message.id);
  });
  await Promise.race([ready.promise, died]);
  let asked = 0;
  return {
    replay: async (payloadKey, histories) => {
      asked += 1;
      const id = asked;
      const answered = new Promise<readonly string[]>((resolve) => waiting.set(id, resolve));
      const encoded = histories.map(({ workflowId, history }) => ({
        workflowId,
        encoded: History.encode(history).finish(),
      }));
      child.send({ id, payloadKey, histories: encoded } satisfies ReplayTask);
      return await Promise.race([answered, died]);
    },
  };
}
