import { defineConfig } from 'vitest/config';

/** Beside the tests of `npm test`: these are of a daemon that `engines.ts` has started. */
export default defineConfig({
  test: {
    include: ['test/metrics/*.suite.ts', 'test/streamer/real-containers.test.ts'],
    // Whether a machine has half a core to spare says nothing of an engine: what the kernel counted is compared instead.
    testNamePattern: /^(?!.*half a core)/,
    pool: 'forks',
    reporters: ['verbose'],
    // One daemon on two cores: what is read is compared with what was used meanwhile.
    fileParallelism: false,
    testTimeout: 120_000,
    hookTimeout: 120_000,
  },
});
