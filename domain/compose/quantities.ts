import { MIN_MEMORY_BYTES } from '../spec.ts';
import { COMPOSE_LIMITS } from './application.ts';
import { type Place, refuse, refuseFound } from './place.ts';

const UNIT_MS: Readonly<Record<string, number>> = { h: 3_600_000, m: 60_000, s: 1000, ms: 1, us: 0.001 };

/** Durations as the Compose specification writes them: `1h30m`, `2.5s`, `300ms`. A bare number is none, except 0. */
const DURATION = /^(?:\d{1,9}(?:\.\d{1,9})?(?:h|ms|m|s|us))+$/;
const DURATION_PART = /(\d+(?:\.\d+)?)(h|ms|m|s|us)/g;

/** Reads a duration, as whole milliseconds within bounds. @throws INVALID_ARGUMENT. */
export function durationOf(place: Place, [least, most]: readonly [least: number, most: number]): number {
  const { value } = place;
  const allowed = `a duration such as 500ms, 10s or 1m30s, from ${showMs(least)} to ${showMs(most)}`;
  const isDuration = typeof value === 'string' && value.length <= 100 && (DURATION.test(value) || value === '0');
  if (!isDuration) throw refuseFound(place, allowed);
  const parts = [...value.matchAll(DURATION_PART)];
  const ms = Math.round(parts.reduce((sum, [, amount, unit]) => sum + Number(amount) * (UNIT_MS[unit ?? ''] ?? 0), 0));
  if (ms < least || ms > most) throw refuseFound(place, allowed);
  return ms;
}

/** Sizes as Docker writes them: every unit is a power of 1024, with or without `b` or `ib`. */
const SIZE = /^(\d{1,15}(?:\.\d{1,6})?) ?([kmgt]?)(?:i?b)?$/i;
const SIZE_UNITS = ['', 'k', 'm', 'g', 't'];

/** Reads a size, as bytes: `512m`, `1.5gb`, or a number of bytes. @throws INVALID_ARGUMENT. */
export function bytesOf(place: Place, least: number, most: number = COMPOSE_LIMITS.memoryBytes): number {
  const { value } = place;
  const text = typeof value === 'number' ? String(value) : value;
  const [, amount, unit = ''] = (typeof text === 'string' && SIZE.exec(text)) || [];
  const bytes = Math.floor(Number(amount) * 1024 ** SIZE_UNITS.indexOf(unit.toLowerCase()));
  if (amount !== undefined && bytes >= least && bytes <= most) return bytes;
  throw refuseFound(place, `a size such as 512m or 2g, from ${showBytes(least)} to ${showBytes(most)}`);
}

/** Reads a limit of memory, as bytes. @throws INVALID_ARGUMENT below Docker's minimum too. */
export function memoryOf(place: Place): number {
  return bytesOf(place, MIN_MEMORY_BYTES);
}

/** Reads a number of cores. @throws INVALID_ARGUMENT. */
export function coresOf(place: Place): number {
  const { value } = place;
  const cores = typeof value === 'string' && /^\d{1,6}(?:\.\d{1,9})?$/.test(value) ? Number(value) : value;
  if (typeof cores === 'number' && cores >= 0.01 && cores <= 1024) return cores;
  throw refuseFound(place, '0.01 to 1024 cores');
}

/** Reads an absolute path within a container. @throws INVALID_ARGUMENT for `..`, the root and the kernel's own folders. */
export function containerPathOf(place: Place, path: string): string {
  const clean = path.replace(/\/+/g, '/').replace(/(.)\/$/, '$1');
  const isPath = /^\/[^\p{Cc}:,]*$/u.test(clean) && clean.length <= 512;
  const isClean = !clean.split('/').some((part) => part === '.' || part === '..');
  if (!isPath || !isClean)
    throw refuse(place, foundPath(place), 'an absolute path, without . and .., commas and colons');
  if (/^\/(?:$|(?:proc|sys|dev)(?:\/|$))/.test(clean)) {
    throw refuse(place, foundPath(place), 'a path other than /, /proc, /sys and /dev');
  }
  return clean;
}

/** Reads a path within the folder of the file or of a context; empty for that folder. @throws INVALID_ARGUMENT. */
export function innerPathOf(place: Place, path: string): string {
  const parts = path.split('/').filter((part) => part !== '' && part !== '.');
  const isInner = !/^[/~\\]|^[a-z]:/i.test(path) && !parts.includes('..') && path.length <= 255;
  if (isInner && !/[\p{Cc}\\]/u.test(path)) return parts.join('/');
  throw refuse(place, foundPath(place), 'a relative path that stays inside, without ..');
}

function foundPath(place: Place): string {
  return typeof place.written === 'string' && place.written === '' ? 'found an empty path' : `found ${quoted(place)}`;
}

function quoted({ written }: Place): string {
  return typeof written === 'string' ? JSON.stringify(written.slice(0, 80)) : 'no text';
}

function showMs(ms: number): string {
  if (ms < 1000) return `${ms}ms`;
  return ms < 60_000 ? `${ms / 1000}s` : `${ms / 60_000}m`;
}

function showBytes(bytes: number): string {
  const unit = [4, 3, 2, 1].find((power) => bytes >= 1024 ** power && bytes % 1024 ** power === 0) ?? 0;
  return `${bytes / 1024 ** unit}${SIZE_UNITS[unit]}`;
}
