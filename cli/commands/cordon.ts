import type { Command } from 'commander';
import { type Node, NodeSchema } from '../../gen/obiente/cloud/v1/nodes_pb.ts';
import type { Api } from '../client.ts';
import { action, type CliContext } from '../invocation.ts';
import { messageJson } from '../show.ts';
import { addDrain } from './drain.ts';
import { addNodeJoin } from './node-join.ts';
import { addNodeSwarm } from './node-swarm.ts';
import { addNodeTokens } from './node-tokens.ts';
import { addSimulateLoss } from './placement.ts';
import { addStrangers } from './strangers.ts';

/** Adds `obiente node` with its words for operators; without a word it is the role. */
export function addNode(program: Command, context: CliContext): void {
  const node = program
    .command('node')
    .description('run this Docker host’s work in this process; with a word, for operators: what a host takes');
  const add = (
    name: string,
    of: { description: string; said: string; ask: (api: Api, nodeId: string) => Promise<{ node?: Node | undefined }> },
  ) =>
    node
      .command(name)
      .description(of.description)
      .argument('<node>', 'id of the node')
      .action(
        action<object, [string]>(context, async ({ openApi, terminal }, _, nodeId) => {
          const { node: changed } = await of.ask(await openApi(), nodeId);
          if (changed) terminal.document(messageJson(NodeSchema, changed));
          terminal.line(`${nodeId} ${of.said}`);
        }),
      );
  addNodeTokens(node, context);
  addNodeSwarm(node, context);
  addNodeJoin(node, context);
  add('cordon', {
    description: 'take no new replicas there; what runs stays',
    said: 'takes no new replicas',
    ask: (api, nodeId) => api.nodes.cordonNode({ nodeId }),
  });
  add('uncordon', {
    description: 'take new replicas there again, and move nothing further away',
    said: 'takes new replicas',
    ask: (api, nodeId) => api.nodes.uncordonNode({ nodeId }),
  });
  addDrain(node, context);
  addSimulateLoss(node, context);
  addStrangers(node, context);
}
