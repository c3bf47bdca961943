import { describe, expect, it } from 'vitest';
import { createLog } from '../../adapters/logging/log.ts';
import { createDeploymentStore } from '../../adapters/postgres/deployment-store.ts';
import type { PlaceOfDeployment } from '../../contracts/deployment.ts';
import { DomainError } from '../../domain/errors.ts';
import { aCreation, aTenant } from '../../test/support/control-data.ts';
import { useTestDatabase } from '../../test/support/database.ts';
import { eventually } from '../../test/support/eventually.ts';
import { tellUntaken } from './tell-untaken.ts';

const database = useTestDatabase();
const log = createLog({ role: 'test', level: 'silent' });

/** An operation that an API has stored a minute ago, and died. */
async function anUntold(): Promise<PlaceOfDeployment> {
  const placement = { strategy: 'least-loaded', maxDeploymentsPerNode: 50 } as const;
  const store = createDeploymentStore(database.db, { domain: 'example.test', placement });
  const { deploymentId, organizationId, projectId, request } = aCreation(await aTenant(database.db));
  await store.storeOperation({ deploymentId, organizationId, projectId, request });
  const created_at = new Date(Date.now() - 60_000);
  await database.db.updateTable('operations').set({ created_at }).where('id', '=', request.operationId).execute();
  return { deploymentId, organizationId, projectId };
}

describe('an API that begins', () => {
  it('tells workflows of what another has stored and not told', async () => {
    const place = await anUntold();
    const told: PlaceOfDeployment[] = [];
    const stopping = new AbortController();
    const workflows = { tellStored: async (one: PlaceOfDeployment) => void told.push(one) };
    const telling = tellUntaken({ db: database.db, workflows, log }, stopping.signal);
    await eventually(() => expect(told).toContainEqual(place));
    stopping.abort();
    await telling;
  });

  it('tells the others although one cannot be told', async () => {
    const places = [await anUntold(), await anUntold(), await anUntold()];
    const told: string[] = [];
    const stopping = new AbortController();
    let failing: string | undefined;
    const tellStored = async ({ deploymentId }: PlaceOfDeployment) => {
      failing ??= deploymentId;
      if (deploymentId === failing)
        throw new DomainError('WORKFLOWS_UNAVAILABLE', 'the request was not confirmed in time');
      told.push(deploymentId);
    };
    const telling = tellUntaken({ db: database.db, workflows: { tellStored }, log }, stopping.signal);
    const others = (): number => places.filter(({ deploymentId }) => told.includes(deploymentId)).length;
    await eventually(() => expect(others()).toBeGreaterThanOrEqual(2));
    stopping.abort();
    await telling;
  });

  it('goes on while workflows are away, and ends when it is stopped', async () => {
    await anUntold();
    const stopping = new AbortController();
    const asked = Promise.withResolvers<void>();
    const tellStored = async () => {
      asked.resolve();
      throw new DomainError('WORKFLOWS_UNAVAILABLE', 'the request was not confirmed in time');
    };
    const telling = tellUntaken({ db: database.db, workflows: { tellStored }, log }, stopping.signal);
    await asked.promise;
    stopping.abort();
    await telling;
  });
});
