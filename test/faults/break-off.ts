import type { Socket } from 'node:net';

/**
 * Breaks a connection off hard. Only TCP knows a reset; a Unix socket that is closed with unread bytes looks the same
 * to its other end.
 */
export function breakOff(socket: Socket): void {
  if (socket.remoteAddress === undefined) socket.destroy();
  else socket.resetAndDestroy();
}
