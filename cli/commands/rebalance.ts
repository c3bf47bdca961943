import type { Command } from 'commander';
import {
  type PlanRebalanceResponse,
  PlanRebalanceResponseSchema,
  type Rebalance,
  type RebalancedNode,
  type RebalanceMove,
  RebalanceSchema,
  RebalanceState,
  type WatchRebalanceResponse,
} from '../../gen/obiente/cloud/v1/placement_pb.ts';
import type { Api } from '../client.ts';
import { OperationFailed } from '../failures.ts';
import { followRecord } from '../follow-record.ts';
import { action, type CliContext, type Invocation } from '../invocation.ts';
import { createProgress } from '../progress.ts';
import { parseWhole } from '../quantities.ts';
import { messageJson } from '../show.ts';
import { type Column, table } from '../table.ts';
import type { Terminal } from '../terminal.ts';

interface RebalanceCommandOptions {
  readonly maxMoves?: string;
  readonly plan?: boolean;
  readonly stop?: boolean;
  /** False with `--no-wait`. */
  readonly wait: boolean;
}

/** Adds `obiente rebalance`: moves replicas so that the hosts are filled more evenly. */
export function addRebalance(program: Command, context: CliContext): void {
  program
    .command('rebalance')
    .description('for operators: move replicas so that the hosts are filled more evenly')
    .option('--plan', 'only show the moves, and the shares of the hosts before and after them')
    .option('--stop', 'move nothing further; what is being moved is finished')
    .option('--max-moves <count>', `how many moves at most (default: ${COUNT.max})`)
    .option('--no-wait', 'return as soon as it has begun')
    .action(
      action<RebalanceCommandOptions, []>(context, async (invocation, options) => {
        const { openApi, terminal } = invocation;
        const maxMoves = options.maxMoves === undefined ? 0 : parseWhole('--max-moves', options.maxMoves, COUNT);
        const api = await openApi();
        if (options.stop) return showRebalance(terminal, (await api.placement.stopRebalance({})).rebalance);
        if (options.plan) {
          const plan = await api.placement.planRebalance({ maxMoves });
          terminal.document(messageJson(PlanRebalanceResponseSchema, plan));
          return showPlan(terminal, plan);
        }
        const { plan, rebalance } = await api.placement.applyRebalance({ maxMoves });
        if (plan) showPlan(terminal, plan);
        if (!rebalance) return terminal.document(null);
        const ended = options.wait ? await follow(invocation, api, { begun: rebalance, context }) : rebalance;
        showRebalance(terminal, ended);
      }),
    );
}

function showPlan(terminal: Terminal, plan: PlanRebalanceResponse): void {
  if (plan.moves.length > 0) {
    terminal.line(table(terminal, NODES, plan.nodes));
    terminal.line('');
    terminal.line(table(terminal, MOVES, plan.moves));
    terminal.line('');
  }
  terminal.line(summaryOf(plan));
}

function showRebalance(terminal: Terminal, rebalance: Rebalance | undefined): void {
  if (!rebalance) return;
  terminal.document(messageJson(RebalanceSchema, rebalance));
  terminal.line(describe(rebalance));
  if (rebalance.state === RebalanceState.DONE && rebalance.moved < rebalance.planned) throw notAllMoved(rebalance);
}

/** Watches a rebalance until it has ended, through restarts of the API. */
async function follow(
  { terminal, signal }: Invocation,
  api: Api,
  { begun, context }: { readonly begun: Rebalance; readonly context: CliContext },
): Promise<Rebalance> {
  const progress = createProgress(terminal, context.stderr);
  const following = followRecord<WatchRebalanceResponse, Rebalance>({
    begun,
    signal,
    open: (streamSignal) => api.placement.watchRebalance({}, { signal: streamSignal }),
    pick: ({ rebalance }) => rebalance,
    onChange: (rebalance) => progress.doing(describe(rebalance)),
    onInterruption: () => progress.warn('the connection to the API broke, trying again'),
  });
  return await following.finally(() => progress.stop());
}

function describe({ state, planned, ended, moved }: Rebalance): string {
  if (state === RebalanceState.RUNNING) return `${ended} of ${planned} moves have ended`;
  const outcome = `${moved} of ${planned} moves reached their goal`;
  return state === RebalanceState.STOPPED ? `stopped: ${outcome}` : outcome;
}

function notAllMoved({ moved, planned }: Rebalance): OperationFailed {
  return new OperationFailed({
    code: 'INSUFFICIENT_CAPACITY',
    message: `${planned - moved} of ${planned} moves did not reach their goal`,
    hint: 'Look at the history of the deployments above, and rebalance again.',
    lastLines: [],
  });
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
