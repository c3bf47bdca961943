import { defineConfig } from 'vitest/config';

/** Beside the tests of `npm test`: these need a server that takes minutes to be had. */
export default defineConfig({
  test: {
    include: ['test/timescale/*.suite.ts'],
    pool: 'forks',
    // What is left out on an edition is said by name, with the reason.
    reporters: ['verbose'],
    testTimeout: 120_000,
    hookTimeout: 120_000,
  },
});
