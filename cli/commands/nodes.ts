import type { Command } from 'commander';
import { type Node, NodeSchema } from '../../gen/obiente/cloud/v1/nodes_pb.ts';
import { action, type CliContext } from '../invocation.ts';
import { allPages } from '../pages.ts';
import { plainText } from '../plain-text.ts';
import { showBytes } from '../quantities.ts';
import { age, messageJson, paintState, words } from '../show.ts';
import { type Column, table } from '../table.ts';

/** Adds `obiente nodes`. */
export function addNodes(program: Command, context: CliContext): void {
  program
    .command('nodes')
    .description('list the Docker hosts of the cluster')
    .action(
      action<object, []>(context, async ({ openApi, terminal }) => {
        const api = await openApi();
        const nodes = await allPages(async (page) => {
          const answer = await api.nodes.listNodes({ page });
          return { items: answer.nodes, page: answer.page };
        });
        const columns: readonly Column<Node>[] = [
          { heading: 'NODE', cell: ({ id }) => id },
          { heading: 'HOST', cell: ({ hostname }) => hostname },
          { heading: 'STATE', cell: ({ state }) => words.node(state), paint: (text) => paintState(terminal, text) },
          { heading: 'REPLICAS', cell: ({ replicas }) => String(replicas), isNumber: true },
          { heading: 'CPU', cell: (node) => `${round(node.reservedCpuCores)}/${round(node.cpuCores)}`, isNumber: true },
          {
            heading: 'MEMORY',
            cell: (node) => `${showBytes(node.reservedMemoryBytes)}/${showBytes(node.memoryBytes)}`,
            isNumber: true,
          },
          { heading: 'DISK', cell: ({ diskNotice }) => diskNotice.replace('its disk is ', '') },
          { heading: 'DOCKER', cell: ({ dockerVersion }) => dockerVersion },
          { heading: 'LABELS', cell: ({ labels }) => showLabels(labels) },
          { heading: 'SEEN', cell: ({ lastSeenAt }) => age(lastSeenAt), isNumber: true },
        ];
        terminal.document(nodes.map((node) => messageJson(NodeSchema, node)));
        terminal.line(nodes.length === 0 ? 'no node has enrolled yet' : table(terminal, columns, nodes));
      }),
    );
}

function showLabels(labels: Readonly<Record<string, string>>): string {
  const pairs = Object.entries(labels).map(([name, value]) => `${name}=${value}`);
  return plainText(pairs.sort().join(','));
}

function round(cores: number): string {
  return String(Math.round(cores * 100) / 100);
}
