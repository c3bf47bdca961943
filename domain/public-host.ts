import { invalidArgument } from './errors.ts';

const HOST =
  /^(?:[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?\.)*[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?(?::[0-9]{1,5})?$/;

/** Longest DNS name (RFC 1035) with a port. */
const MAX_HOST_LENGTH = 253 + 6;

/** Names that lead into the platform's own network, by RFC 6761, RFC 6762 and common use. */
const LOCAL_SUFFIXES = ['localhost', 'local', 'internal', 'lan', 'home.arpa'];

/** A block of addresses: its first octets (IPv4) or groups of 16 bits (IPv6), and how many bits of them count. */
type Block = readonly [leading: readonly number[], bits: number];

/** Blocks of IPv4 that are not the open internet. */
const RESERVED_IPV4: readonly Block[] = [
  [[0], 8],
  [[10], 8],
  [[100, 64], 10],
  [[127], 8],
  [[169, 254], 16],
  [[172, 16], 12],
  [[192, 0, 0], 24],
  [[192, 168], 16],
  [[198, 18], 15],
  [[224], 4],
  [[240], 4],
];

/** The one block of IPv6 that is the open internet (RFC 4291, section 2.4). */
const GLOBAL_UNICAST: Block = [[0x2000], 3];

/** Parts of it that are not: protocol assignments with Teredo, documentation, and 6to4, which holds an IPv4 address. */
const RESERVED_IPV6: readonly Block[] = [
  [[0x2001, 0], 23],
  [[0x2001, 0xdb8], 32],
  [[0x2002], 16],
  [[0x3fff], 20],
];

/** Which host a caller names, for what, and which ones may be named although they look like the platform's network. */
export interface HostCheck {
  /** What the host is to the caller, for the refusal: "registry" for example. */
  readonly kind: string;
  /** `host` or `host:port` as it was given. */
  readonly host: string;
  /** `host` or `host:port`, lower case, exactly as callers name them. */
  readonly allowed: readonly string[];
}

/**
 * Checks a host that the platform connects to on a caller's behalf: it must be on the internet, or allowed by name.
 *
 * What a name resolves to is checked where the connection is made, by {@link isPublicAddress}.
 *
 * @throws INVALID_ARGUMENT with the field.
 */
export function checkHost(field: string, { kind, host, allowed }: HostCheck): void {
  const finding = `found ${kind} ${JSON.stringify(host.length > 80 ? `${host.slice(0, 80)}…` : host)}`;
  if (host.length > MAX_HOST_LENGTH || !HOST.test(host))
    throw invalidArgument(field, finding, 'a hostname with an optional port');
  const lower = host.toLowerCase();
  if (allowed.includes(lower) || isPublicHost(lower.replace(/:\d+$/, ''))) return;
  throw invalidArgument(field, finding, `a ${kind} on the internet, or one the operator allows`);
}

/** Whether a host looks like the open internet. */
function isPublicHost(host: string): boolean {
  const last = host.slice(host.lastIndexOf('.') + 1);
  if (/^(\d+|0x[0-9a-f]*)$/.test(last)) return isPublicAddress(host);
  return host.includes('.') && !LOCAL_SUFFIXES.some((suffix) => host === suffix || host.endsWith(`.${suffix}`));
}

/**
 * Whether an IP address is one of the open internet; `false` for what is no address.
 *
 * Of IPv4 only the plain dotted form counts: the other ones (octal, hex, short) exist to get past checks. Of IPv6 only
 * global unicast counts, so that every form that holds an IPv4 address (mapped, NAT64, 6to4) is none.
 */
export function isPublicAddress(address: string): boolean {
  const octets = parseIpv4(address);
  if (octets) return !RESERVED_IPV4.some((block) => isWithin(octets, 8, block));
  const groups = parseIpv6(address);
  return (
    groups !== undefined &&
    isWithin(groups, 16, GLOBAL_UNICAST) &&
    !RESERVED_IPV6.some((block) => isWithin(groups, 16, block))
  );
}

function parseIpv4(address: string): readonly number[] | undefined {
  if (!/^(?:(?:0|[1-9]\d{0,2})\.){3}(?:0|[1-9]\d{0,2})$/.test(address)) return undefined;
  const octets = address.split('.').map(Number);
  return octets.every((octet) => octet <= 255) ? octets : undefined;
}

/** The eight groups of an address without an embedded IPv4 part and without a zone. */
function parseIpv6(address: string): readonly number[] | undefined {
  if (!/^[0-9a-f:]{2,39}$/i.test(address)) return undefined;
  const [before = '', after, ...more] = address.split('::');
  const head = groupsOf(before);
  const tail = groupsOf(after ?? '');
  const missing = 8 - head.length - tail.length;
  if (more.length > 0 || (after === undefined ? missing !== 0 : missing < 1)) return undefined;
  const groups = [...head, ...Array.from({ length: missing }, () => '0'), ...tail];
  return groups.every((group) => /^[0-9a-f]{1,4}$/i.test(group))
    ? groups.map((group) => Number.parseInt(group, 16))
    : undefined;
}

function groupsOf(part: string): string[] {
  return part === '' ? [] : part.split(':');
}

/** Compares the leading bits, unit by unit (an octet or a group). */
function isWithin(units: readonly number[], unitBits: number, [leading, bits]: Block): boolean {
  for (let at = 0; at * unitBits < bits; at += 1) {
    const ignored = Math.max(0, (at + 1) * unitBits - bits);
    if ((units[at] ?? 0) >>> ignored !== (leading[at] ?? 0) >>> ignored) return false;
  }
  return true;
}
