import { lookup } from 'node:dns/promises';
import { isIP } from 'node:net';
import { DomainError } from '../../domain/errors.ts';
import { isPublicAddress } from '../../domain/public-host.ts';

/** Asks for all addresses of a name. */
export type Lookup = (host: string) => Promise<readonly string[]>;

/** How many addresses of one name are looked at and used. */
const MAX_ADDRESSES = 16;

/** Asks the machine's resolver, its hosts file included; IPv4 first, since not every machine has a way out by IPv6. */
export const lookupAll: Lookup = async (host) => {
  const found = await lookup(host, { all: true, order: 'ipv4first' });
  return found.map(({ address }) => address);
};

/**
 * Finds the addresses to connect to for a host. Whoever connects uses these and asks no resolver again, which might
 * answer otherwise the next time.
 *
 * @throws SOURCE_UNAVAILABLE when the name does not resolve; SOURCE_REFUSED when any of its addresses is not one of the
 * internet, unless the operator allows the host.
 */
export async function findCheckedAddresses(
  host: string,
  options: { isAllowed: boolean; lookup: Lookup; signal: AbortSignal },
): Promise<readonly string[]> {
  const { isAllowed, signal } = options;
  const addresses = isIP(host) ? [host] : await resolve(host, options);
  signal.throwIfAborted();
  if (isAllowed || addresses.every(isPublicAddress)) return addresses.slice(0, MAX_ADDRESSES);
  throw new DomainError('SOURCE_REFUSED', `${host} leads to an address that is not on the internet`, {
    hint: 'Use a Git server on the internet, or ask the operator to allow this one.',
  });
}

async function resolve(host: string, options: { lookup: Lookup; signal: AbortSignal }): Promise<readonly string[]> {
  const unavailable = (cause?: unknown) =>
    new DomainError('SOURCE_UNAVAILABLE', `${host} cannot be found: its name does not resolve`, {
      hint: 'Check the name, and try again.',
      cause,
    });
  try {
    const addresses = await orAborted(options.lookup(host), options.signal);
    if (addresses.length > 0 && addresses.every((address) => isIP(address) !== 0)) return addresses;
  } catch (error) {
    options.signal.throwIfAborted();
    throw unavailable(error);
  }
  throw unavailable();
}

/** A resolver cannot be interrupted; what it answers after the abort is nobody's. */
function orAborted<Answer>(answer: Promise<Answer>, signal: AbortSignal): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const abort = () => reject(signal.reason);
    if (signal.aborted) abort();
    signal.addEventListener('abort', abort, { once: true });
    answer.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort));
  });
}
