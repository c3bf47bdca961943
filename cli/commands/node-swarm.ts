import type { Command } from 'commander';
import { NodeState, type SwarmNode, SwarmNodeSchema } from '../../gen/obiente/cloud/v1/nodes_pb.ts';
import { action, type CliContext } from '../invocation.ts';
import { plainText } from '../plain-text.ts';
import { messageJson, paintState, words } from '../show.ts';
import { type Column, table } from '../table.ts';

/** A token for each host is good for as long as one that is made alone. */
const DEFAULT_LIFETIME = { lifetimeS: 0 };

interface SwarmOptions {
  readonly join?: boolean;
}

/** Adds `obiente node swarm`. */
export function addNodeSwarm(node: Command, context: CliContext): void {
  node
    .command('swarm')
    .description('list the hosts of the Docker Swarm as its managers know them, beside the nodes on them')
    .option('--join', 'make a token for each host that has no node, and print the command to run there')
    .action(
      action<SwarmOptions, []>(context, async ({ openApi, terminal }, { join }) => {
        const api = await openApi();
        const { nodes } = await api.nodes.listSwarmNodes({});
        const missing = nodes.filter((host) => !host.node && host.state !== 'left');
        const commands = new Map<string, string>();
        if (join) {
          for (const { swarmNodeId } of missing) {
            const { token } = await api.nodes.createNodeToken(DEFAULT_LIFETIME);
            commands.set(swarmNodeId, joinCommand(api.url, token));
          }
        }
        const columns: readonly Column<SwarmNode>[] = [
          { heading: 'SWARM NODE', cell: ({ swarmNodeId }) => swarmNodeId },
          { heading: 'HOST', cell: ({ hostname }) => plainText(hostname) },
          { heading: 'ROLE', cell: ({ role }) => role },
          { heading: 'AVAILABILITY', cell: ({ availability }) => availability },
          { heading: 'IN THE SWARM', cell: ({ state }) => state, paint: (text) => paintState(terminal, text) },
          { heading: 'NODE', cell: (host) => host.node?.id ?? 'none yet' },
          { heading: 'STATE', cell: stateOf, paint: (text) => paintState(terminal, text) },
          { heading: 'WHY', cell: ({ reason }) => plainText(reason) },
        ];
        const documents = nodes.map((host) => ({
          ...(messageJson(SwarmNodeSchema, host) as object),
          joinCommand: commands.get(host.swarmNodeId) ?? null,
        }));
        terminal.document(documents);
        terminal.line(nodes.length === 0 ? 'no node is on a host of a swarm' : table(terminal, columns, nodes));
        for (const host of missing) {
          const command = commands.get(host.swarmNodeId) ?? joinCommand(api.url, '<token>');
          terminal.note(`no node yet on ${plainText(host.hostname)} (${plainText(host.address)}); there, as root:`);
          terminal.line(`  ${command}`);
        }
        if (missing.length > 0 && !join) {
          terminal.note('→ "obiente node swarm --join" puts a token into each, "obiente node token" makes one');
        }
      }),
    );
}

function joinCommand(server: string, token: string): string {
  return `npx obiente node join --runtime swarm --server ${server} --token ${token}`;
}

function stateOf({ node }: SwarmNode): string {
  return node ? words.node(node.state ?? NodeState.UNSPECIFIED) : '';
}
