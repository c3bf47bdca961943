import { defineConfig } from 'vitest/config';

const TESTS = ['**/*.test.ts', '**/*.test.js'];
const NEVER = ['node_modules/**', '.obiente/**'];

/** Tests of the whole platform. Each worker has one, for one file after the other. */
const WHOLE_PLATFORM = ['test/integration/**/*.test.ts'];

/** Tests that harm whole platforms of their own. They need the machine for themselves, and no platform beside theirs. */
const FAULTS = ['test/faults/sampled/**/*.test.ts'];

/** Tests that start servers of their own, or talk to the Docker daemon. */
const SERVERS = [
  'activities/node-activities.test.ts',
  'adapters/{docker,postgres,timescale,traefik,cgroup,dev-oidc,git,object-storage}/**/*.test.ts',
  'api/**/*.test.ts',
  'streamer/**/*.test.ts',
  'test/{cli,ingress,node,streamer,supervisor,workflows}/**/*.test.ts',
  'workers/{*,api/*}.test.ts',
];

/** `npm run verify` runs `fast`; `npm test` runs all, in this order. */
export default defineConfig({
  test: {
    pool: 'forks',
    projects: [
      {
        test: {
          name: 'fast',
          include: TESTS,
          exclude: [...NEVER, ...SERVERS, ...WHOLE_PLATFORM, ...FAULTS],
          sequence: { groupOrder: 0 },
          // A property runs hundreds of cases; on a busy machine that is no hang.
          testTimeout: 60_000,
        },
      },
      {
        test: {
          name: 'servers',
          include: SERVERS,
          exclude: NEVER,
          globalSetup: ['test/support/postgres.ts'],
          sequence: { groupOrder: 1 },
          testTimeout: 60_000,
          hookTimeout: 120_000,
          maxWorkers: 2,
        },
      },
      {
        test: {
          name: 'platform',
          include: WHOLE_PLATFORM,
          exclude: NEVER,
          globalSetup: ['test/integration/global-setup.ts'],
          sequence: { groupOrder: 2 },
          maxWorkers: 2,
          testTimeout: 240_000,
          hookTimeout: 120_000,
        },
      },
      {
        test: {
          name: 'faults',
          include: FAULTS,
          exclude: NEVER,
          sequence: { groupOrder: 3 },
          fileParallelism: false,
          testTimeout: 600_000,
          hookTimeout: 300_000,
        },
      },
    ],
  },
});
