const LABEL_PATTERN = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/;

/** Longest DNS name without its trailing dot (RFC 1035). */
const MAX_HOSTNAME_LENGTH = 253;

/**
 * Whether a hostname may stand in a routing rule: lower case, two labels or more, no trailing dot, no wildcard, not an
 * IPv4 address.
 *
 * A hostname field is code to the ingress: a backtick ends the rule and another rule may follow. Upper case and a
 * trailing dot match the host of somebody else (both seen on Traefik 3.7), so there is one spelling for each name.
 */
export function isRoutableHostname(hostname: string): boolean {
  if (hostname.length > MAX_HOSTNAME_LENGTH) return false;
  const labels = hostname.split('.');
  const last = labels.at(-1) ?? '';
  return labels.length >= 2 && labels.every((label) => LABEL_PATTERN.test(label)) && !/^\d+$/.test(last);
}
