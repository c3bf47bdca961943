import { invalidArgument } from '../../domain/errors.ts';

/** Up to where each node has been told, milliseconds since 1970. */
export type StreamPosition = ReadonlyMap<string, number>;

/** Nodes in one cursor; a deployment has replicas on fewer. */
const MAX_NODES = 2_000;

/** Makes a position one opaque text: a caller hands it back and gets what comes right behind it, on each node. */
export function toCursor(position: StreamPosition): string {
  const pairs = [...position].map(([nodeId, atMs]): [string, string] => [nodeId, atMs.toString(36)]);
  return new URLSearchParams(pairs).toString();
}

/** Reads a cursor; an empty one is no position. @throws INVALID_ARGUMENT for a text that is none. */
export function parseCursor(text: string): StreamPosition {
  const position = new Map<string, number>();
  for (const [nodeId, moment] of new URLSearchParams(text)) {
    const atMs = /^[0-9a-z]{1,11}$/.test(moment) ? Number.parseInt(moment, 36) : Number.NaN;
    if (!Number.isSafeInteger(atMs) || nodeId.length > 64 || position.size >= MAX_NODES) {
      throw invalidArgument('cursor', 'it is not one of this API', '`cursor` of a message of this stream');
    }
    position.set(nodeId, atMs);
  }
  return position;
}
