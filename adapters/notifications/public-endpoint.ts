import { lookup } from 'node:dns/promises';
import { isIP } from 'node:net';
import { DomainError } from '../../domain/errors.ts';
import { isPublicAddress } from '../../domain/public-host.ts';

/** Where a connection is to be made: the name was resolved once, and the connection goes to that address only. */
export interface Endpoint {
  readonly address: string;
  readonly family: 4 | 6;
}

/** Which hosts may be connected to although they are not on the internet, and how names are resolved. */
export interface EndpointRules {
  /** `host` or `host:port`, lower case, exactly as targets name them. */
  readonly allowedHosts: readonly string[];
  /** Resolves a name to all of its addresses. Default: the resolver of this machine. */
  readonly resolve?: (host: string) => Promise<readonly { readonly address: string; readonly family: number }[]>;
}

const RESOLVE_MS = 5_000;

/**
 * Resolves the host of a target that a tenant has named.
 *
 * Every address that the name has must be on the internet, unless the operator allows the host: one that also leads into
 * the platform's network is not taken at all. The caller connects to the address, never to the name, so that a name
 * which resolves to something else a moment later leads nowhere.
 *
 * @throws DELIVERY_REFUSED for an address that is not on the internet, DELIVERY_FAILED when the name does not resolve.
 */
export async function resolvePublicEndpoint(host: string, port: number, rules: EndpointRules): Promise<Endpoint> {
  const bare = host.replace(/^\[(.*)\]$/, '$1').toLowerCase();
  const addresses = isIP(bare) === 0 ? await resolveName(bare, rules) : [{ address: bare, family: isIP(bare) }];
  const isAllowed = [bare, host.toLowerCase(), `${host.toLowerCase()}:${port}`].some((name) =>
    rules.allowedHosts.includes(name),
  );
  if (!isAllowed && !addresses.every(({ address }) => isPublicAddress(address))) {
    throw new DomainError('DELIVERY_REFUSED', `${bare} leads to an address that is not on the internet`, {
      hint: 'Name a host on the internet, or ask the operator of the platform to allow this one.',
    });
  }
  const first = addresses[0];
  if (!first) throw new DomainError('DELIVERY_FAILED', `${bare} has no address`);
  return { address: first.address, family: first.family === 6 ? 6 : 4 };
}

async function resolveName(host: string, { resolve = resolveAll }: EndpointRules) {
  try {
    return await Promise.race([resolve(host), late()]);
  } catch (cause) {
    throw new DomainError('DELIVERY_FAILED', `the name ${host} does not resolve`, { cause });
  }
}

function resolveAll(host: string) {
  return lookup(host, { all: true, verbatim: true });
}

/** The resolver cannot be cancelled; what it says later is not heard. */
function late(): Promise<never> {
  const { promise, reject } = Promise.withResolvers<never>();
  setTimeout(() => reject(new Error('the resolver did not answer in time')), RESOLVE_MS).unref();
  return promise;
}
