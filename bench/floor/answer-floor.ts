import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { Client, Connection, WithStartWorkflowOperation } from '@temporalio/client';
import type { WorkflowIdConflictPolicy } from '@temporalio/common';
import { bundleWorkflowCode, DefaultLogger, NativeConnection, Worker } from '@temporalio/worker';
import { sql } from 'kysely';
import { createLog } from '../../adapters/logging/log.ts';
import { openDatabase } from '../../adapters/postgres/database.ts';
import { installTemporalLog } from '../../adapters/temporal/worker.ts';
import type { PlatformFacts } from '../../test/support/platform.ts';
import type { FloorActivities } from './workflows.ts';

const QUEUE = 'answer-floor';

/** The least that an answer takes which says that a workflow of its own has stored something. */
export interface AnswerFloor {
  /** Starts a workflow with an update that inserts one row, and waits for its answer. @returns milliseconds */
  time(): Promise<number>;
  stop(): Promise<void>;
}

/** Starts a worker of its own on the platform's Temporal server and database: no encryption, no authorisation, one row. */
export async function startAnswerFloor({ temporalAddress: address, databaseUrl }: PlatformFacts): Promise<AnswerFloor> {
  installTemporalLog(createLog({ role: 'bench', level: 'silent' }));
  const database = openDatabase({ url: databaseUrl, maxConnections: 2 });
  await sql`CREATE SCHEMA answer_floor`.execute(database);
  await sql`CREATE TABLE answer_floor.rows (id uuid PRIMARY KEY)`.execute(database);
  const activities: FloorActivities = {
    insertRow: async () => {
      await sql`INSERT INTO answer_floor.rows VALUES (${randomUUID()})`.execute(database);
    },
  };
  const workflowsPath = join(import.meta.dirname, 'workflows.ts');
  const workflowBundle = await bundleWorkflowCode({ workflowsPath, logger: new DefaultLogger('ERROR') });
  const [native, connection] = await Promise.all([
    NativeConnection.connect({ address }),
    Connection.connect({ address }),
  ]);
  const worker = await Worker.create({ connection: native, taskQueue: QUEUE, workflowBundle, activities });
  const running = worker.run();
  const client = new Client({ connection });
  return {
    time: async () => {
      const begun = performance.now();
      const startWorkflowOperation = new WithStartWorkflowOperation('storesOneRow', {
        workflowId: randomUUID(),
        taskQueue: QUEUE,
        args: [],
        workflowIdConflictPolicy: 'FAIL' as WorkflowIdConflictPolicy,
      });
      await client.workflow.executeUpdateWithStart('store', { startWorkflowOperation });
      return performance.now() - begun;
    },
    stop: async () => {
      worker.shutdown();
      await running;
      await Promise.all([native.close(), connection.close(), database.destroy()]);
    },
  };
}
