import { describeMetricsStorage } from '../support/metrics-storage.ts';
import { describeMetricsUpkeep } from '../support/metrics-upkeep.ts';
import { createEmptyDatabase } from '../support/postgres.ts';

const { TIMESCALE_APACHE_URL: apache = '', TIMESCALE_COMMUNITY_URL: community = '' } = process.env;

/** The same as on plain PostgreSQL, on servers that `main.ts` has started or the user has named. */
for (const [edition, url] of Object.entries({ apache, community })) {
  if (url === '') continue;
  const create = () => createEmptyDatabase(url);
  describeMetricsStorage(`TimescaleDB, ${edition} edition`, edition, create);
  describeMetricsUpkeep(`TimescaleDB, ${edition} edition`, create);
}
