import type { Command } from 'commander';
import {
  type Drain,
  type DrainedDeployment,
  DrainSchema,
  DrainState,
  type WatchDrainResponse,
} from '../../gen/obiente/cloud/v1/nodes_pb.ts';
import type { Api } from '../client.ts';
import { OperationFailed } from '../failures.ts';
import { type FollowedRecord, followRecord } from '../follow-record.ts';
import { action, type CliContext } from '../invocation.ts';
import { plainText } from '../plain-text.ts';
import { createProgress } from '../progress.ts';
import { parseWhole } from '../quantities.ts';
import { messageJson } from '../show.ts';
import { table } from '../table.ts';

interface DrainOptions {
  readonly atOnce?: string;
  readonly reason?: string;
  readonly withVolumes?: boolean;
  /** False with `--no-wait`. */
  readonly wait: boolean;
}

/** Adds `obiente node drain`. */
export function addDrain(node: Command, context: CliContext): void {
  node
    .command('drain')
    .description('take no new replicas there, and move what runs there to other nodes')
    .argument('<node>', 'id of the node')
    .option('--at-once <number>', 'how many deployments are moved at a time (default: 2)')
    .option('--with-volumes', 'move what has volumes too: it stands still while they are copied')
    .option('-m, --reason <text>', 'why, for the history')
    .option('--no-wait', 'return as soon as it has begun')
    .action(
      action<DrainOptions, [string]>(context, async ({ openApi, terminal, signal }, options, nodeId) => {
        const atOnce = options.atOnce === undefined ? 0 : parseWhole('--at-once', options.atOnce, { min: 1, max: 50 });
        const api = await openApi();
        const { reason = '', withVolumes = false } = options;
        const { drain: begun } = await api.nodes.drainNode({ nodeId, atOnce, reason, withVolumes });
        if (!begun) return;
        const progress = createProgress(terminal, context.stderr);
        const onChange = (drain: Drain): void => progress.doing(describe(drain));
        const onInterruption = (): void => progress.warn('the connection to the API broke, trying again');
        const following = options.wait ? follow(api, { begun, signal, onChange, onInterruption }) : begun;
        const drain = await Promise.resolve(following).finally(() => progress.stop());
        terminal.document(messageJson(DrainSchema, drain));
        terminal.line(describe(drain));
        if (drain.left.length > 0 && drain.state !== DrainState.RUNNING) {
          terminal.line(table(terminal, LEFT_COLUMNS, drain.left));
          throw notEmpty(drain);
        }
      }),
    );
}

/** Watches a drain until it has ended, through restarts of the API. */
async function follow(
  api: Api,
  how: Pick<FollowedRecord<WatchDrainResponse, Drain>, 'begun' | 'signal' | 'onChange' | 'onInterruption'>,
): Promise<Drain> {
  const { nodeId } = how.begun;
  return await followRecord<WatchDrainResponse, Drain>({
    ...how,
    open: (signal) => api.nodes.watchDrain({ nodeId }, { signal }),
    pick: ({ drain }) => drain,
  });
}

const LEFT_COLUMNS = [
  { heading: 'DEPLOYMENT', cell: ({ name }: DrainedDeployment) => name },
  { heading: 'REPLICAS', cell: ({ replicas }: DrainedDeployment) => String(replicas), isNumber: true },
  { heading: 'WHY IT STAYS', cell: ({ why }: DrainedDeployment) => plainText(why) || '-' },
];

function describe({ nodeId, state, moved, left }: Drain): string {
  const counts = `${deployments(moved)} moved, ${left.length === 200 ? 'at least ' : ''}${left.length} left`;
  if (state === DrainState.RUNNING) return `emptying ${nodeId}: ${counts}`;
  return state === DrainState.STOPPED ? `emptying ${nodeId} was stopped: ${counts}` : `emptied ${nodeId}: ${counts}`;
}

function deployments(count: number): string {
  return count === 1 ? '1 deployment' : `${count} deployments`;
}

function notEmpty({ nodeId, left }: Drain): OperationFailed {
  return new OperationFailed({
    code: 'STILL_USED',
    message: `${nodeId} is not empty: ${deployments(left.length)} left`,
    hint: 'Move or delete what is named above ("--with-volumes" moves what has volumes), or uncordon the node.',
    lastLines: [],
  });
}
