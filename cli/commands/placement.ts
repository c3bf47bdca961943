import type { Command } from 'commander';
import {
  ExplainPlacementResponseSchema,
  type JudgedNode,
  type SimulatedDeployment,
  SimulateNodeLossResponseSchema,
} from '../../gen/obiente/cloud/v1/placement_pb.ts';
import { action, type CliContext } from '../invocation.ts';
import { parseWhole } from '../quantities.ts';
import { getDeployment } from '../resolve.ts';
import { messageJson } from '../show.ts';
import { type Column, table } from '../table.ts';

interface PlacementCommandOptions {
  readonly replicas?: string;
  readonly service?: string;
}

/** Adds `obiente placement`: where further replicas would go, and why. */
export function addPlacement(program: Command, context: CliContext): void {
  program
    .command('placement')
    .description('say where further replicas of a deployment would go now, and why not elsewhere; changes nothing')
    .argument('<name>', 'name or id of the deployment')
    .option('--replicas <count>', 'how many further replicas (default: 1)')
    .option('--service <service>', 'which service of it, where there are several')
    .action(
      action<PlacementCommandOptions, [string]>(context, async (invocation, options, name) => {
        const api = await invocation.openApi();
        const { id } = await getDeployment(api, { name, organization: invocation.organization, project: undefined });
        const replicas = options.replicas === undefined ? 1 : parseWhole('--replicas', options.replicas, COUNT);
        const request = { deploymentId: id, service: options.service ?? '', replicas };
        const answer = await api.placement.explainPlacement(request);
        const { terminal } = invocation;
        terminal.document(messageJson(ExplainPlacementResponseSchema, answer));
        if (answer.nodes.length > 0) terminal.line(table(terminal, NODES, answer.nodes));
        if (answer.refusal !== '') terminal.line(answer.refusal);
      }),
    );
}

/** Adds `simulate-loss` to the words of `obiente node`. */
export function addSimulateLoss(node: Command, context: CliContext): void {
  node
    .command('simulate-loss')
    .description('say what would become of everything on a host if that left; changes nothing')
    .argument('<node>', 'id of the node')
    .action(
      action<object, [string]>(context, async ({ openApi, terminal }, _, nodeId) => {
        const api = await openApi();
        const answer = await api.placement.simulateNodeLoss({ nodeId });
        terminal.document(messageJson(SimulateNodeLossResponseSchema, answer));
        const { deployments } = answer;
        if (deployments.length === 0) terminal.line(`nothing runs on ${nodeId}`);
        else terminal.line(table(terminal, DEPLOYMENTS, deployments));
      }),
    );
}

const COUNT = { min: 1, max: 10_000 };

const NODES: readonly Column<JudgedNode>[] = [
  { heading: 'NODE', cell: ({ nodeId }) => nodeId },
  { heading: 'REPLICAS', cell: ({ replicas }) => (replicas === 0 ? '' : `+${replicas}`), isNumber: true },
  {
    heading: 'FULL',
    cell: ({ fullness, barred }) => (barred === '' ? `${Math.round(fullness * 100)} %` : ''),
    isNumber: true,
  },
  { heading: 'WHY', cell: whyOf },
];

const DEPLOYMENTS: readonly Column<SimulatedDeployment>[] = [
  { heading: 'DEPLOYMENT', cell: ({ name, service }) => (service === '' ? name : `${name}/${service}`) },
  { heading: 'GOES TO', cell: ({ nodes }) => nodes.map(({ nodeId, replicas }) => `${nodeId} +${replicas}`).join(', ') },
  { heading: 'WHY NOT', cell: ({ refusal }) => refusal },
];

function whyOf({ replicas, barred }: JudgedNode): string {
  if (replicas > 0) return 'chosen';
  return barred === '' ? 'possible' : barred;
}
