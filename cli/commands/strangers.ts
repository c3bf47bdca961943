import type { Command } from 'commander';
import { type Stranger, StrangerKind, StrangerSchema } from '../../gen/obiente/cloud/v1/replicas_pb.ts';
import { action, type CliContext } from '../invocation.ts';
import { allPages } from '../pages.ts';
import { age, messageJson } from '../show.ts';
import { type Column, table } from '../table.ts';

/** Adds `strangers` to the words of `obiente node`. */
export function addStrangers(node: Command, context: CliContext): void {
  node
    .command('strangers')
    .description('list containers that look like replicas and are none; they are neither routed to nor removed')
    .argument('[node]', 'id of the node; else on all')
    .action(
      action<object, [string | undefined]>(context, async ({ openApi, terminal }, _, nodeId = '') => {
        const api = await openApi();
        const strangers = await allPages(async (page) => {
          const answer = await api.replicas.listStrangers({ nodeId, page });
          return { items: answer.strangers, page: answer.page };
        });
        terminal.document(strangers.map((stranger) => messageJson(StrangerSchema, stranger)));
        terminal.line(strangers.length === 0 ? 'no strangers' : table(terminal, COLUMNS, strangers));
      }),
    );
}

const COLUMNS: readonly Column<Stranger>[] = [
  { heading: 'NODE', cell: ({ nodeId }) => nodeId },
  { heading: 'CONTAINER', cell: ({ containerId }) => containerId.slice(0, 12) },
  { heading: 'NAME', cell: ({ name }) => name },
  { heading: 'KIND', cell: ({ kind }) => (kind === StrangerKind.FORGED ? 'forged' : 'orphan') },
  { heading: 'WHY', cell: ({ reason }) => reason },
  { heading: 'FOUND', cell: ({ foundAt }) => age(foundAt), isNumber: true },
];
