import { constants, Http2ServerRequest } from 'node:http2';
import { type ContextValues, createContextKey, createContextValues, type HandlerContext } from '@connectrpc/connect';
import type { ConnectNodeAdapterOptions } from '@connectrpc/connect-node';
import type { Outbox } from '../../domain/metrics/outbox.ts';

type Incoming = Parameters<NonNullable<ConnectNodeAdapterOptions['contextValues']>>[0];

type Reader = Pick<Outbox<unknown>, 'standing' | 'close'>;

/** Those who read streams of this process. */
export interface Readers {
  /** Adds one. Returns how to forget it. */
  add(reader: Reader, context: HandlerContext): () => void;
  /** Gives up those who are stuck. @returns how many. */
  sweep(): number;
  /** How many there are, and how many of them are slow. */
  state(): { readonly active: number; readonly slow: number };
}

const CUT_OFF = createContextKey<() => void>(() => undefined, { description: 'cuts off the caller' });

/**
 * Lets a call be cut off whose caller does not read: what was written waits for him, and an error behind it would wait as
 * well. Over HTTP/2 he sees `resource_exhausted`, over HTTP/1.1 the end of the connection.
 */
export function withCutOff(request: Incoming): ContextValues {
  const cutOff = (): void => {
    if (request instanceof Http2ServerRequest) request.stream.close(constants.NGHTTP2_ENHANCE_YOUR_CALM);
    else request.socket.destroy();
  };
  return createContextValues().set(CUT_OFF, cutOff);
}

/** Creates the list of readers. */
export function createReaders(): Readers {
  const readers = new Map<Reader, () => void>();
  return {
    add: (reader, { values }) => {
      readers.set(reader, values.get(CUT_OFF));
      return () => readers.delete(reader);
    },
    sweep: () => {
      const stuck = [...readers].filter(([reader]) => reader.standing() === 'stuck');
      for (const [reader, cutOff] of stuck) {
        readers.delete(reader);
        reader.close();
        cutOff();
      }
      return stuck.length;
    },
    state: () => ({
      active: readers.size,
      slow: [...readers.keys()].filter((reader) => reader.standing() !== 'keeps up').length,
    }),
  };
}
