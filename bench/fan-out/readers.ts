import { connect } from 'node:http2';

/** What the process of readers is told. */
export type ReaderOrder =
  | {
      readonly kind: 'open';
      readonly url: string;
      readonly path: string;
      readonly count: number;
      readonly body: Uint8Array;
    }
  | { readonly kind: 'stall'; readonly url: string; readonly path: string; readonly body: Uint8Array }
  | { readonly kind: 'close' };

/** What it tells: that all have received message so-and-so many, and when each of them did. */
export interface ReaderReport {
  readonly messages: number;
  /** Milliseconds since 1970, with fractions; one a reader. */
  readonly arrivals: Float64Array;
}

/** Streams on one connection. */
const STREAMS = 100;

/** Before each message of the protocol: a byte of flags and four of length. */
const ENVELOPE = 5;

const nowMs = (): number => performance.timeOrigin + performance.now();

/**
 * Reads streams as cheaply as can be: it counts messages and looks into none. A process of its own, so that what is
 * measured is the sender.
 */
function main(): void {
  let close: (() => void)[] = [];
  process.on('message', (order: ReaderOrder) => {
    if (order.kind === 'close') {
      for (const end of close) end();
      close = [];
    } else if (order.kind === 'stall') {
      const session = connect(order.url, { settings: { initialWindowSize: 0 } });
      session.on('error', () => undefined);
      request(session, order).on('error', () => undefined);
      close.push(() => session.destroy());
    } else {
      close.push(openReaders(order));
    }
  });
  process.on('disconnect', () => process.exit(0));
}

function openReaders(order: ReaderOrder & { readonly kind: 'open' }): () => void {
  let arrivals = new Float64Array(order.count);
  const received = new Uint32Array(order.count);
  let [complete, ahead] = [0, 0];
  const onMessage = (reader: number): void => {
    received[reader] = (received[reader] ?? 0) + 1;
    arrivals[reader] = nowMs();
    ahead += 1;
    if (ahead < order.count) return;
    complete += 1;
    ahead = 0;
    process.send?.({ messages: complete, arrivals } satisfies ReaderReport);
    arrivals = new Float64Array(order.count);
  };
  const sessions = Array.from({ length: Math.ceil(order.count / STREAMS) }, () => connect(order.url));
  for (const session of sessions) session.on('error', () => undefined);
  for (let reader = 0; reader < order.count; reader += 1) {
    const session = sessions[reader % sessions.length];
    if (!session) continue;
    const stream = request(session, order);
    stream.on('error', () => undefined);
    stream.on(
      'data',
      countMessages(() => onMessage(reader)),
    );
  }
  return () => {
    for (const session of sessions) session.destroy();
  };
}

function request(session: ReturnType<typeof connect>, { path, body }: { path: string; body: Uint8Array }) {
  const stream = session.request({ ':method': 'POST', ':path': path, 'content-type': 'application/connect+proto' });
  const envelope = Buffer.alloc(ENVELOPE);
  envelope.writeUInt32BE(body.length, 1);
  stream.end(Buffer.concat([envelope, body]));
  return stream;
}

/** Follows the envelopes, however the bytes are cut. */
function countMessages(onMessage: () => void): (data: Buffer) => void {
  let [head, missing]: [Buffer, number] = [Buffer.alloc(0), 0];
  return (data) => {
    let at = 0;
    while (at < data.length) {
      if (missing === 0) {
        const wanted = ENVELOPE - head.length;
        head = Buffer.concat([head, data.subarray(at, at + wanted)]);
        at += wanted;
        if (head.length < ENVELOPE) return;
        missing = head.readUInt32BE(1);
        head = Buffer.alloc(0);
      }
      const taken = Math.min(missing, data.length - at);
      missing -= taken;
      at += taken;
      if (missing === 0) onMessage();
    }
  };
}

main();
