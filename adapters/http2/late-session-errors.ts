import { subscribe } from 'node:diagnostics_channel';
import type { ClientHttp2Session, ClientHttp2Stream } from 'node:http2';

const heard = new WeakSet<ClientHttp2Session>();

/**
 * Keeps the process alive when a session of an HTTP/2 client reports its error late.
 *
 * A session is destroyed some time before it says why. Connect's session manager takes its listeners off a destroyed
 * session at once, and an error that nobody hears ends the process. The calls under way are told of it by their own
 * streams. It also pings a session that was destroyed while its last stream was closing, which throws where nobody
 * catches it: such a ping does nothing. Calling this again changes nothing.
 */
export function tolerateLateSessionErrors(): void {
  subscribe('http2.client.stream.created', listen);
}

function listen(message: unknown): void {
  const { session } = (message as { stream: ClientHttp2Stream }).stream;
  if (!session || heard.has(session as ClientHttp2Session)) return;
  heard.add(session as ClientHttp2Session);
  session.on('error', () => undefined);
  session.once('close', () => {
    Object.assign(session, { ping: () => false });
  });
}
