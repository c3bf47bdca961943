import { isIP } from 'node:net';
import { z } from 'zod';
import type { DomainError } from '../domain/errors.ts';
import { isRoutableHostname } from '../domain/hostname.ts';
import { parseNodeLabels } from '../domain/node-labels.ts';
import { isPublicAddress } from '../domain/public-host.ts';

/** A TCP port, 1 to 65535, with its default. */
export function port(defaultPort: number) {
  return integer({ min: 1, max: 65_535, default: defaultPort });
}

/** A whole number within bounds, with its default. */
export function integer(bounds: { min: number; max: number; default: number }) {
  return wholeNumber(bounds).default(bounds.default);
}

/** A whole number within bounds, or none. */
export function optionalInteger(bounds: { min: number; max: number }) {
  return wholeNumber(bounds).optional();
}

function wholeNumber({ min, max }: { min: number; max: number }) {
  const rule = `must be a whole number from ${min} to ${max}`;
  return z.coerce.number(rule).int(rule).min(min, rule).max(max, rule);
}

/** The domain below which applications are reached; leaves room for the longest name of an application. */
export function domain() {
  const rule = 'must be a DNS name in lower case, such as localhost or apps.example.com';
  return z
    .string()
    .refine((name) => isRoutableHostname(`${'x'.repeat(63)}.${name}`), rule)
    .default('localhost');
}

/** An address at which others reach this host: an IP address or a DNS name. */
export function hostAddress() {
  return z
    .string()
    .max(253)
    .regex(/^[A-Za-z0-9:]([A-Za-z0-9.:-]*[A-Za-z0-9:])?$/, 'must be an IP address or a DNS name')
    .default('127.0.0.1');
}

/** An address of this host to listen on. */
export function bindAddress() {
  return z
    .string()
    .refine((address) => isIP(address) !== 0 || address === 'localhost', 'must be an IP address of this host')
    .default('127.0.0.1');
}

/** A URL with one of the given schemes. */
export function url(...schemes: string[]) {
  return z.string().refine((value) => URL.canParse(value) && schemes.includes(new URL(value).protocol.slice(0, -1)), {
    message: `must be a URL that starts with ${schemes.map((scheme) => `${scheme}://`).join(' or ')}`,
  });
}

/** An `http` URL of this host or of its private network, by address: what is there is not for the world. */
export function privateUrl() {
  const rule = 'must be an http:// URL with a loopback or private IP address, such as http://127.0.0.1:7401';
  return z.string().refine((value) => {
    if (!URL.canParse(value)) return false;
    const { protocol, hostname, username, password } = new URL(value);
    const address = hostname.replace(/^\[|\]$/g, '');
    return protocol === 'http:' && username + password === '' && isIP(address) !== 0 && !isPublicAddress(address);
  }, rule);
}

/** Words between commas, in lower case and without blanks. */
export function list() {
  return z
    .string()
    .default('')
    .transform((text) => text.split(',').flatMap((word) => word.trim().toLowerCase() || []));
}

/** Pairs between commas, such as `region=eu,disk=ssd`. */
export function nodeLabels() {
  return z
    .string()
    .default('')
    .transform((text, context) => {
      try {
        return parseNodeLabels(text);
      } catch (error) {
        const { message, hint = '' } = error as DomainError;
        context.addIssue({ code: 'custom', message: `${message}. ${hint}` });
        return z.NEVER;
      }
    });
}

/** A secret of at least `minLength` characters. */
export function secret(minLength: number) {
  return z.string().min(minLength, `must have at least ${minLength} characters`);
}

const UNIT_MS = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 } as const;

/** A duration such as `500ms`, `5s`, `1m` or `24h`, as milliseconds. */
export function durationMs(defaultText: string) {
  return z
    .string()
    .regex(/^\d+(ms|s|m|h)$/, 'must be a whole number with a unit: ms, s, m or h')
    .default(defaultText)
    .transform((text) => {
      const [, amount = '0', unit = 'ms'] = /^(\d+)(ms|s|m|h)$/.exec(text) ?? [];
      return Number(amount) * UNIT_MS[unit as keyof typeof UNIT_MS];
    });
}

/** A share such as `10%`, from 0 to a bound, as percent. */
export function percent(bounds: { max: number; default: number }) {
  const rule = `must be a whole number of percent from 0% to ${bounds.max}%`;
  return z
    .string()
    .regex(/^\d{1,3}%$/, rule)
    .default(`${bounds.default}%`)
    .transform((text) => Number(text.slice(0, -1)))
    .refine((share) => share <= bounds.max, rule);
}

const UNIT_BYTES = { MiB: 1024 ** 2, GiB: 1024 ** 3, TiB: 1024 ** 4 } as const;

/** A size such as `512MiB` or `5GiB`, as bytes. */
export function sizeBytes(defaultText: string) {
  return z
    .string()
    .regex(/^\d{1,6}(MiB|GiB|TiB)$/, 'must be a whole number with a unit: MiB, GiB or TiB')
    .default(defaultText)
    .transform((text) => {
      const [, amount = '0', unit = 'MiB'] = /^(\d+)(MiB|GiB|TiB)$/.exec(text) ?? [];
      return Number(amount) * UNIT_BYTES[unit as keyof typeof UNIT_BYTES];
    });
}

/** One of some words. */
export function choice<const Word extends string>(words: readonly Word[], byDefault: NoInfer<Word>) {
  return z.enum(words, `must be one of ${words.join(', ')}`).default(byDefault);
}

/** How much a process logs. */
export const logLevel = choice(['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'], 'info');
