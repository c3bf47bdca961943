import { z } from 'zod';

/** A TCP port, 1 to 65535, with its default. */
export function port(defaultPort: number) {
  return z.coerce.number().int().min(1).max(65535).default(defaultPort);
}

/** A whole number within bounds, with its default. */
export function integer(bounds: { min: number; max: number; default: number }) {
  return z.coerce.number().int().min(bounds.min).max(bounds.max).default(bounds.default);
}

/** A URL with one of the given schemes. */
export function url(...schemes: string[]) {
  return z.string().refine((value) => URL.canParse(value) && schemes.includes(new URL(value).protocol.slice(0, -1)), {
    message: `must be a URL that starts with ${schemes.map((scheme) => `${scheme}://`).join(' or ')}`,
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

/** How much a process logs. */
export const logLevel = z.enum(['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent']).default('info');
