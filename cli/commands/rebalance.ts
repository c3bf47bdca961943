import type { Command } from 'commander';
import {
  type PlanRebalanceResponse,
  PlanRebalanceResponseSchema,
  type RebalancedNode,
  type RebalanceMove,
} from '../../gen/obiente/cloud/v1/placement_pb.ts';
import { action, type CliContext } from '../invocation.ts';
import { parseWhole } from '../quantities.ts';
import { messageJson } from '../show.ts';
import { type Column, table } from '../table.ts';

interface RebalanceCommandOptions {
  readonly maxMoves?: string;
}

/** Adds `obiente rebalance`: which moves would fill the hosts more evenly. */
export function addRebalance(program: Command, context: CliContext): void {
  program
    .command('rebalance')
    .description('for operators: say which moves would fill the hosts more evenly; changes nothing')
    .requiredOption('--plan', 'show the moves, and the shares of the hosts before and after them')
    .option('--max-moves <count>', `how many moves at most (default: ${COUNT.max})`)
    .action(
      action<RebalanceCommandOptions, []>(context, async ({ openApi, terminal }, { maxMoves: text }) => {
        const maxMoves = text === undefined ? 0 : parseWhole('--max-moves', text, COUNT);
        const api = await openApi();
        const plan = await api.placement.planRebalance({ maxMoves });
        terminal.document(messageJson(PlanRebalanceResponseSchema, plan));
        if (plan.moves.length > 0) {
          terminal.line(table(terminal, NODES, plan.nodes));
          terminal.line('');
          terminal.line(table(terminal, MOVES, plan.moves));
          terminal.line('');
        }
        terminal.line(summaryOf(plan));
      }),
    );
}

const COUNT = { min: 1, max: 200 };

const NODES: readonly Column<RebalancedNode>[] = [
  { heading: 'NODE', cell: ({ nodeId }) => nodeId },
  { heading: 'NOW', cell: ({ before }) => percent(before), isNumber: true },
  { heading: 'AFTER', cell: ({ after }) => percent(after), isNumber: true },
];

const MOVES: readonly Column<RebalanceMove>[] = [
  { heading: 'DEPLOYMENT', cell: ({ name }) => name },
  { heading: 'REPLICAS', cell: ({ replicas, whole }) => (whole ? `all ${replicas}` : `${replicas}`), isNumber: true },
  { heading: 'FROM', cell: ({ fromNodeId }) => fromNodeId },
  { heading: 'TO', cell: ({ toNodeId }) => toNodeId },
  { heading: 'WHY', cell: ({ why }) => why },
];

function summaryOf({ moves, readyNodes, before, after, more }: PlanRebalanceResponse): string {
  const nodes = `${readyNodes} ready ${readyNodes === 1 ? 'node' : 'nodes'}`;
  const were = `${percent(before?.emptiest)} to ${percent(before?.fullest)} full`;
  if (moves.length === 0) return `nothing to move: ${nodes}, ${were}`;
  const rest = more ? '; there may be more to move after these' : '';
  return `${moves.length === 1 ? '1 move' : `${moves.length} moves`}: ${nodes}, ${were}, then ${percent(after?.emptiest)} to ${percent(after?.fullest)}${rest}`;
}

function percent(share = 0): string {
  return `${Math.round(share * 100)} %`;
}
