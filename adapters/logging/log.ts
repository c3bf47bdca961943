import { type Logger, pino } from 'pino';

/** A structured log: JSON lines on standard output. */
export type Log = Logger;

const SECRET_FIELDS = [
  'authorization',
  'password',
  'secret',
  'token',
  'accessToken',
  'refreshToken',
  'joinToken',
  'value',
  'environment',
  'jwe',
  'sealed',
  'cookie',
];

/**
 * Creates the log of a process.
 *
 * Fields that carry secrets by their name are blanked down to two levels, as a second wall: nothing should log them in the first place.
 */
export function createLog(options: { role: string; level: string }): Log {
  return pino({
    level: options.level,
    base: { role: options.role, pid: process.pid },
    timestamp: pino.stdTimeFunctions.isoTime,
    redact: {
      paths: SECRET_FIELDS.flatMap((field) => [field, `*.${field}`, `*.*.${field}`]),
      censor: '[redacted]',
    },
  });
}
