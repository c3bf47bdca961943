import type { Command } from 'commander';
import { z } from 'zod';
import { readEnvironment } from '../../config/environment.ts';
import { url } from '../../config/variables.ts';
import { action, type CliContext } from '../invocation.ts';

const migrateVariables = z.object({ DATABASE_URL: url('postgres', 'postgresql') });

/** Adds `obiente migrate`. */
export function addMigrate(program: Command, context: CliContext): void {
  program
    .command('migrate')
    .description('bring the database of DATABASE_URL to the newest schema')
    .action(
      action<object, []>(context, async ({ terminal }) => {
        const { DATABASE_URL } = readEnvironment(migrateVariables, context.env);
        const { migrate } = await import('../../adapters/postgres/migrate.ts');
        const applied = await migrate(DATABASE_URL);
        terminal.document({ applied });
        terminal.line(applied.length === 0 ? 'the schema is the newest' : `applied ${applied.join(', ')}`);
      }),
    );
}
