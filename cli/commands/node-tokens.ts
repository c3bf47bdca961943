import type { Command } from 'commander';
import { isLoopback } from '../../config/identity.ts';
import { type NodeToken, NodeTokenSchema, NodeTokenState } from '../../gen/obiente/cloud/v1/nodes_pb.ts';
import { action, type CliContext } from '../invocation.ts';
import { plainText } from '../plain-text.ts';
import { parseDuration } from '../quantities.ts';
import { age, messageJson, wait, words } from '../show.ts';
import { type Column, table } from '../table.ts';

interface TokenOptions {
  readonly expires: string;
}

/** Adds `obiente node token`, `tokens`, `revoke` and `remove`: how nodes come and go. */
export function addNodeTokens(node: Command, context: CliContext): void {
  node
    .command('token')
    .description('print the command with which one host joins, once')
    .option('--expires <duration>', 'how long it is good, from 1m to 168h', '1h')
    .action(
      action<TokenOptions, []>(context, async ({ openApi, terminal }, { expires }) => {
        const lifetimeS = Math.ceil(parseDuration('--expires', expires) / 1000);
        const api = await openApi();
        const { token, record } = await api.nodes.createNodeToken({ lifetimeS });
        if (!record) return;
        const command = `npx obiente node join --server ${api.url} --token ${token}`;
        terminal.document({ ...(messageJson(NodeTokenSchema, record) as object), token, command });
        terminal.note(`on the new host, within ${expires}, as root:`);
        terminal.line(command);
        if (isLoopback(api.url)) terminal.note('→ put an address in its place at which the host reaches this API');
      }),
    );
  node
    .command('tokens')
    .description('list the tokens with which hosts join, without what they are')
    .action(
      action<object, []>(context, async ({ openApi, terminal }) => {
        const { tokens } = await (await openApi()).nodes.listNodeTokens({});
        terminal.document(tokens.map((token) => messageJson(NodeTokenSchema, token)));
        terminal.line(tokens.length === 0 ? 'no tokens yet' : table(terminal, COLUMNS, tokens));
      }),
    );
  node
    .command('revoke')
    .description('let nobody join with a token any more; a node that has, stays')
    .argument('<token>', 'id of the token, as "obiente node tokens" lists it')
    .action(
      action<object, [string]>(context, async ({ openApi, terminal }, _, tokenId) => {
        const { record } = await (await openApi()).nodes.revokeNodeToken({ tokenId });
        if (record) terminal.document(messageJson(NodeTokenSchema, record));
        terminal.line(`nobody joins with ${plainText(tokenId)} any more`);
      }),
    );
  node
    .command('remove')
    .description('remove a node that is lost or drained, and has nothing: it is not heard any more')
    .argument('<node>', 'id of the node')
    .action(
      action<object, [string]>(context, async ({ openApi, terminal }, _, nodeId) => {
        await (await openApi()).nodes.removeNode({ nodeId });
        terminal.document({ removed: nodeId });
        terminal.line(`removed ${plainText(nodeId)}`);
        terminal.note('its host has the keys of what Temporal stores: renew them if it is not yours any more');
      }),
    );
}

const COLUMNS: readonly Column<NodeToken>[] = [
  { heading: 'TOKEN', cell: ({ id }) => id },
  { heading: 'STATE', cell: ({ state }) => words.nodeToken(state) },
  { heading: 'NODE', cell: ({ usedByNodeId }) => usedByNodeId },
  { heading: 'EXPIRES', cell: ({ state, expiresAt }) => (state === NodeTokenState.VALID ? wait(expiresAt) : '') },
  { heading: 'AGE', cell: ({ createdAt }) => age(createdAt), isNumber: true },
];
