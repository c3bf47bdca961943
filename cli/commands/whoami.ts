import type { Command } from 'commander';
import { WhoAmIResponseSchema } from '../../gen/obiente/cloud/v1/identity_pb.ts';
import { action, type CliContext } from '../invocation.ts';
import { plainText } from '../plain-text.ts';
import { messageJson } from '../show.ts';

/** Adds `obiente whoami`. */
export function addWhoAmI(program: Command, context: CliContext): void {
  program
    .command('whoami')
    .description('show who is signed in, and where')
    .action(
      action<object, []>(context, async ({ openApi, terminal }) => {
        const api = await openApi();
        const answer = await api.identity.whoAmI({});
        terminal.document(messageJson(WhoAmIResponseSchema, answer));
        terminal.line(`${plainText(answer.email || answer.subject)} at ${api.url}`);
        for (const { organizationName, role } of answer.memberships) {
          terminal.line(`  ${plainText(organizationName)} (${plainText(role)})`);
        }
      }),
    );
}
