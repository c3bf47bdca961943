import type { Command } from 'commander';
import { findCredentials, writeCredentials } from '../credentials-file.ts';
import { action, type CliContext } from '../invocation.ts';

/** Adds `obiente logout`. */
export function addLogout(program: Command, context: CliContext): void {
  program
    .command('logout')
    .description('forget the tokens that commands here use')
    .action(
      action<object, []>(context, async ({ terminal }) => {
        const found = await findCredentials(context);
        if (found !== undefined) {
          const { apiUrl, issuer, clientId } = found.credentials;
          await writeCredentials(found.file, { apiUrl, issuer, clientId });
        }
        terminal.document({ apiUrl: found?.credentials.apiUrl ?? null, file: found?.file ?? null });
        if (found === undefined) terminal.line('nobody was signed in');
        else terminal.line(`signed out of ${found.credentials.apiUrl} (${found.file})`);
      }),
    );
}
