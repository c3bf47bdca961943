import { defineConfig } from 'vitest/config';

/**
 * What is run within the guest: the tests of `npm test` that read the kernel's files, and what is only held there, where
 * nothing else runs. An emulated processor is ten to fifty times slower, so every wait is longer; none is a figure.
 */
export default defineConfig({
  test: {
    include: [
      'adapters/cgroup/*.test.ts',
      'test/streamer/{real-containers,kernel-counters,both-ways}.test.ts',
      'test/cgroup2/*.suite.ts',
    ],
    pool: 'forks',
    fileParallelism: false,
    // Loading the same modules once more for each file takes longer there than the tests.
    isolate: false,
    testTimeout: 300_000,
    hookTimeout: 300_000,
    env: { TEST_PATIENCE_MS: '200000' },
  },
});
