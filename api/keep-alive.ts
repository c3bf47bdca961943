import type { ServerHttp2Session } from 'node:http2';

/** Proxies drop connections that are silent for a minute; the answer also tells a dead peer from an idle one. */
const PING_EVERY_MS = 30_000;

/** A peer that has not answered for so long is gone. */
const PING_ANSWER_MS = 20_000;

/** Pings an HTTP/2 connection for as long as it lasts, and closes it when an answer stays out. */
export function keepAlive(session: ServerHttp2Session): void {
  let answer: NodeJS.Timeout | undefined;
  const every = setInterval(() => {
    if (answer || session.destroyed) return;
    answer = setTimeout(() => session.destroy(), PING_ANSWER_MS).unref();
    session.ping(() => {
      clearTimeout(answer);
      answer = undefined;
    });
  }, PING_EVERY_MS).unref();
  session.once('close', () => {
    clearInterval(every);
    clearTimeout(answer);
  });
}
