import type { Command } from 'commander';
import { findCredentials, writeCredentials } from '../credentials-file.ts';
import { action, type CliContext } from '../invocation.ts';

/** Adds `obiente logout`. */
export function addLogout(program: Command, context: CliContext): void {
  program
    .command('logout')
    .description('forget the tokens of this machine')
    .action(
      action<object, []>(context, async ({ terminal }) => {
        const found = await findCredentials(context);
        if (found !== undefined) {
          const { apiUrl, issuer, clientId } = found.credentials;
          await writeCredentials(found.file, { apiUrl, issuer, clientId });
        }
        terminal.document({ apiUrl: found?.credentials.apiUrl ?? null });
        terminal.line(found === undefined ? 'nobody was signed in' : `signed out of ${found.credentials.apiUrl}`);
      }),
    );
}
