import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type ContainerFolders, findFolders, parseMountInfo } from '../adapters/cgroup/hierarchies.ts';

/** What the kernel's own files said of a container at one moment. */
export interface KernelReading {
  /** By the wall clock, milliseconds. */
  readonly atMs: number;
  /** CPU used since the container's start. */
  readonly cpuNanos: number;
  /** Usage less inactive file cache. */
  readonly workingSetBytes: number;
}

/** Readings taken beside the platform, without asking it for anything. */
export interface KernelRecorder {
  /** In the order in which they were taken. */
  readonly readings: readonly KernelReading[];
  stop(): void;
}

/** Often enough that there is a reading within 10 ms of each sample of the platform. */
const EVERY_MS = 20;

/** Twenty minutes of readings. */
const MAX_READINGS = 60_000;

const NANOS_PER_MICRO = 1000;
const NANOS_PER_MILLI = 1_000_000;

/** Reads a running container's counters all the time, until stopped. */
export function recordKernel(container: { readonly id: string; readonly pid: number }): KernelRecorder {
  const hierarchies = parseMountInfo(readFileSync('/proc/self/mountinfo', 'utf8'));
  const folders = findFolders(hierarchies, readFileSync(`/proc/${container.pid}/cgroup`, 'utf8'), container.id);
  if (!folders) throw new Error(`the counter files of container ${container.id} were not found`);
  const readings: KernelReading[] = [];
  const timer = setInterval(() => {
    readings.push(readKernel(folders));
    if (readings.length > MAX_READINGS) readings.shift();
  }, EVERY_MS);
  return { readings, stop: () => clearInterval(timer) };
}

function readKernel(folders: ContainerFolders): KernelReading {
  const read = (folder: string, name: string): string => readFileSync(join(folder, name), 'utf8');
  const atMs = Date.now();
  if (folders.version === 1) {
    const inactive = readKey('total_inactive_file', read(folders.memory, 'memory.stat'));
    const workingSetBytes = Number(read(folders.memory, 'memory.usage_in_bytes')) - inactive;
    return { atMs, cpuNanos: Number(read(folders.cpuacct, 'cpuacct.usage')), workingSetBytes };
  }
  const inactive = readKey('inactive_file', read(folders.unified, 'memory.stat'));
  const workingSetBytes = Number(read(folders.unified, 'memory.current')) - inactive;
  const cpuNanos = readKey('usage_usec', read(folders.unified, 'cpu.stat')) * NANOS_PER_MICRO;
  return { atMs, cpuNanos, workingSetBytes };
}

function readKey(key: string, text: string): number {
  return Number(new RegExp(`^${key} (\\d+)$`, 'm').exec(text)?.[1] ?? 0);
}

/**
 * CPU used between two moments, in percent of one core. A moment between two readings takes what lies between them.
 *
 * @throws when there are no readings on both sides of a moment.
 */
export function kernelCpuPercent(readings: readonly KernelReading[], fromMs: number, toMs: number): number {
  const usedNanos = cpuNanosAt(readings, toMs) - cpuNanosAt(readings, fromMs);
  return (usedNanos / ((toMs - fromMs) * NANOS_PER_MILLI)) * 100;
}

function cpuNanosAt(readings: readonly KernelReading[], atMs: number): number {
  const next = readings.findIndex((reading) => reading.atMs >= atMs);
  const [before, after] = [readings[next - 1], readings[next]];
  if (after?.atMs === atMs) return after.cpuNanos;
  if (!before || !after) throw new Error(`the kernel was not read around ${new Date(atMs).toISOString()}`);
  const share = (atMs - before.atMs) / (after.atMs - before.atMs);
  return before.cpuNanos + share * (after.cpuNanos - before.cpuNanos);
}

/** Working set in the reading that was taken nearest to a moment. @throws when there are no readings. */
export function kernelMemoryBytes(readings: readonly KernelReading[], atMs: number): number {
  const distance = (reading: KernelReading): number => Math.abs(reading.atMs - atMs);
  const [nearest] = readings.toSorted((one, other) => distance(one) - distance(other));
  if (!nearest) throw new Error('the kernel was not read');
  return nearest.workingSetBytes;
}
