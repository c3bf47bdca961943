import { describeMetricsStorage } from '../support/metrics-storage.ts';
import { describeMetricsUpkeep } from '../support/metrics-upkeep.ts';
import { createEmptyDatabase, type TestDatabase } from '../support/postgres.ts';
import { startCommunityDatabase } from './community/database.ts';
import { describePolicies } from './policies.ts';

const {
  TIMESCALE_APACHE_URL: apacheUrl,
  TIMESCALE_COMMUNITY_URL: communityUrl,
  TIMESCALE_COMMUNITY_PACKAGE: communityPackage,
} = process.env;

/** The same as on plain PostgreSQL, on servers that `main.ts` has started or the user has named. */
function describeEdition(
  edition: 'apache' | 'community',
  create: () => Promise<TestDatabase>,
  takesTurns = false,
): void {
  const on = `TimescaleDB, ${edition} edition`;
  describeMetricsStorage(on, edition, create);
  describeMetricsUpkeep(on, create, { takesTurns });
  if (edition === 'community') describePolicies(on, create);
}

if (apacheUrl) describeEdition('apache', () => createEmptyDatabase(apacheUrl));
if (communityUrl) describeEdition('community', () => createEmptyDatabase(communityUrl));
if (communityPackage) describeEdition('community', () => startCommunityDatabase(communityPackage), true);
