import { DomainError, isDomainError } from '../../domain/errors.ts';

/**
 * SQLSTATE classes and codes by which the server says "not now": connection exceptions, insufficient resources,
 * operator intervention (shutdown, start-up, cancelled statement), a server that is no longer the primary, deadlocks,
 * serialization failures and locks not had in time.
 */
const TRANSIENT = /^(08|53|57|25006|40001|40P01|55P03)/;

/** How Node says that a connection cannot be made or was lost. */
const NETWORK = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'ECONNABORTED',
  'EPIPE',
  'ETIMEDOUT',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ENOTFOUND',
  'EAI_AGAIN',
]);

/** How the driver says it; it gives these no code. */
const DRIVER_MESSAGES =
  /^(Connection terminated|Client has encountered a connection error|Query read timeout|timeout exceeded when trying to connect|timeout expired|Client was closed|Connection ended)/i;

/** What a server has no more of, by SQLSTATE: whoever operates it is to know. */
const SCARCE: ReadonlyMap<string, string> = new Map([
  ['53100', 'its disk is full'],
  ['53200', 'it has no memory left'],
  ['53300', 'it takes no more connections'],
  ['53400', 'it is at a limit of its configuration'],
]);

/** Turns an error of the connection kind into DATABASE_UNAVAILABLE, which is worth a retry; others stay as they are. */
export function asDatabaseError(error: unknown): unknown {
  if (isDomainError(error) || !isUnavailable(error)) return error;
  const scarce = SCARCE.get(sqlStateOf(error));
  const finding = scarce === undefined ? 'does not answer' : `cannot do this now: ${scarce}`;
  return new DomainError('DATABASE_UNAVAILABLE', `the database ${finding}`, {
    hint: 'Try again; "obiente doctor" says whether the database runs.',
    cause: error,
  });
}

function sqlStateOf(error: unknown): string {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : '';
}

function isUnavailable(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  if (error instanceof AggregateError) return error.errors.some(isUnavailable);
  const code = sqlStateOf(error);
  return TRANSIENT.test(code) || NETWORK.has(code) || DRIVER_MESSAGES.test(error.message);
}

/** Whether a unique key refused the write, and, when given, that very one. */
export function isUniqueViolation(error: unknown, constraint?: string): boolean {
  return hasSqlState(error, '23505') && (constraint === undefined || error.constraint === constraint);
}

/** Whether a foreign key refused the write. */
export function isForeignKeyViolation(error: unknown): boolean {
  return hasSqlState(error, '23503');
}

function hasSqlState(error: unknown, code: string): error is Error & { readonly constraint?: string } {
  return sqlStateOf(error) === code;
}
