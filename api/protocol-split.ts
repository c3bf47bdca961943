import type { Server as HttpServer } from 'node:http';
import type { Http2Server } from 'node:http2';
import type { Socket } from 'node:net';

/** First bytes of every HTTP/2 connection (RFC 9113, 3.4); no HTTP/1.1 request begins with these three. */
const HTTP2_PREFACE_START = Buffer.from('PRI');

/** A connection that says nothing for so long is closed. */
const SILENCE_MS = 10_000;

/**
 * Gives a new connection to the server that speaks its protocol, by its first three bytes: one port serves browsers and
 * curl (HTTP/1.1) as well as gRPC clients (cleartext HTTP/2).
 */
export function splitProtocol(socket: Socket, servers: { http1: HttpServer; http2: Http2Server }): void {
  let begin: Buffer = Buffer.alloc(0);
  const silence = setTimeout(() => socket.destroy(), SILENCE_MS);
  const release = (): void => {
    clearTimeout(silence);
    socket.off('data', look);
    socket.off('error', release);
    socket.off('close', release);
  };
  const look = (chunk: Buffer): void => {
    begin = begin.length === 0 ? chunk : Buffer.concat([begin, chunk]);
    const start = begin.subarray(0, HTTP2_PREFACE_START.length);
    const isHttp2 = HTTP2_PREFACE_START.subarray(0, start.length).equals(start);
    if (isHttp2 && start.length < HTTP2_PREFACE_START.length) return;
    release();
    socket.pause();
    socket.unshift(begin);
    (isHttp2 ? servers.http2 : servers.http1).emit('connection', socket);
    if (!isHttp2) socket.resume();
  };
  socket.on('data', look);
  socket.once('error', release);
  socket.once('close', release);
}
