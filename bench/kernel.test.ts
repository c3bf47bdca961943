import { describe, expect, it } from 'vitest';
import { type KernelReading, kernelCpuPercent, kernelMemoryBytes } from './kernel.ts';

/** Half a core, read each 20 ms. */
const readings: readonly KernelReading[] = Array.from({ length: 101 }, (_, index) => ({
  atMs: 1000 + index * 20,
  cpuNanos: index * 10_000_000,
  workingSetBytes: index,
}));

describe('the kernel, read beside the platform', () => {
  it('gives the share of a core between two moments, on readings and between them', () => {
    expect(kernelCpuPercent(readings, 1000, 3000)).toBeCloseTo(50);
    expect(kernelCpuPercent(readings, 1007, 2993)).toBeCloseTo(50);
  });

  it('gives no share of a span that it has not seen whole', () => {
    expect(() => kernelCpuPercent(readings, 999, 2000)).toThrow('was not read around');
    expect(() => kernelCpuPercent(readings, 1000, 3001)).toThrow('was not read around');
  });

  it('gives the memory of the nearest reading', () => {
    expect(kernelMemoryBytes(readings, 1011)).toBe(1);
    expect(kernelMemoryBytes(readings, 1009)).toBe(0);
    expect(kernelMemoryBytes(readings, 9000)).toBe(100);
    expect(() => kernelMemoryBytes([], 1000)).toThrow('was not read');
  });
});
