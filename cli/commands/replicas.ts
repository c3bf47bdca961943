import type { Command } from 'commander';
import { createLogUpdate } from 'log-update';
import { ReplicaState } from '../../gen/obiente/cloud/v1/deployments_pb.ts';
import {
  type LocatedReplica,
  LocatedReplicaSchema,
  type WatchReplicasResponse,
  WatchReplicasResponseSchema,
} from '../../gen/obiente/cloud/v1/replicas_pb.ts';
import type { Api } from '../client.ts';
import { action, type CliContext, type Invocation } from '../invocation.ts';
import { allPages } from '../pages.ts';
import { plainText } from '../plain-text.ts';
import { parseReplicaState, replicaLine, replicasTable } from '../replicas-view.ts';
import { getDeployment, getOrganization } from '../resolve.ts';
import { resumingStream } from '../resuming-stream.ts';
import { messageJson } from '../show.ts';

interface ReplicasOptions {
  readonly deployment?: string;
  readonly project?: string;
  readonly node?: string;
  readonly domain?: string;
  readonly state?: string;
  readonly everywhere?: boolean;
  readonly watch?: boolean;
}

/** What is asked for, in the words of the API. */
interface Wanted {
  readonly organizationId: string;
  readonly deploymentId: string;
  readonly nodeId: string;
  readonly hostname: string;
  readonly state: ReplicaState;
}

/** Adds `obiente replicas`: where everything runs. */
export function addReplicas(program: Command, context: CliContext): void {
  program
    .command('replicas')
    .description('say where replicas run: node, address, state and since when')
    .option('--deployment <name>', 'only of this deployment, by name or id')
    .option('--project <name>', 'the project that the deployment belongs to')
    .option('--node <node>', 'only on this node, by id')
    .option('--domain <hostname>', 'only of what answers at this hostname')
    .option('--state <state>', 'only starting, healthy, unhealthy, exited or removing ones')
    .option('--everywhere', 'of all organizations; for operators of the platform')
    .option('--watch', 'go on, and show what changes')
    .action(action<ReplicasOptions, []>(context, showReplicas));
}

async function showReplicas(invocation: Invocation, options: ReplicasOptions): Promise<void> {
  const state = options.state === undefined ? ReplicaState.UNSPECIFIED : parseReplicaState(options.state);
  const api = await invocation.openApi();
  const wanted = { ...(await resolve(api, invocation, options)), state };
  if (options.watch === true) return await watch(api, invocation, wanted);
  const replicas = await allPages(async (page) => {
    const answer = await api.replicas.listReplicas({ ...wanted, page });
    return { items: answer.replicas, page: answer.page };
  });
  const { terminal } = invocation;
  terminal.document(replicas.map((replica) => messageJson(LocatedReplicaSchema, replica)));
  terminal.line(replicas.length === 0 ? 'no replicas' : replicasTable(terminal, replicas));
}

async function resolve(
  api: Api,
  { organization }: Invocation,
  { deployment, project, node = '', domain = '', everywhere }: ReplicasOptions,
): Promise<Omit<Wanted, 'state'>> {
  const of =
    deployment === undefined ? undefined : await getDeployment(api, { name: deployment, organization, project });
  const owner = async (): Promise<string> => of?.organizationId ?? (await getOrganization(api, organization)).id;
  const organizationId = everywhere === true ? '' : await owner();
  return { organizationId, deploymentId: of?.id ?? '', nodeId: node, hostname: domain };
}

async function watch(api: Api, invocation: Invocation, wanted: Wanted): Promise<void> {
  const { terminal, signal } = invocation;
  const view = createView(invocation);
  const messages = resumingStream<WatchReplicasResponse, null>({
    open: (_, streamSignal) => {
      // Each stream begins with everything, so what an earlier one told is forgotten.
      view.begin();
      return api.replicas.watchReplicas(wanted, { signal: streamSignal });
    },
    advance: () => null,
    start: null,
    signal,
    onInterruption: () => view.note('the connection to the API broke, trying again'),
  });
  try {
    for await (const message of messages) {
      if (message.replicas.length > 0 || message.removed.length > 0) {
        terminal.record(messageJson(WatchReplicasResponseSchema, message));
      }
      view.show(message);
    }
  } finally {
    view.end();
  }
}

/** A table that is drawn anew on a terminal; elsewhere a line a change. */
function createView({ terminal, context }: Invocation) {
  if (!terminal.isInteractive) {
    return {
      begin: () => undefined,
      show: ({ replicas, removed }: WatchReplicasResponse) => {
        for (const replica of replicas) terminal.line(plainText(replicaLine(replica)));
        for (const { deploymentId, replicaId } of removed) {
          terminal.line(plainText(`${replicaId} of ${deploymentId} no longer matches`));
        }
      },
      note: (text: string) => terminal.note(text),
      end: () => undefined,
    };
  }
  const known = new Map<string, LocatedReplica>();
  const draw = createLogUpdate(context.stdout as unknown as NodeJS.WritableStream);
  const redraw = (notice: string): void => {
    const rows = [...known].sort(([one], [other]) => (one < other ? -1 : 1)).map(([, replica]) => replica);
    const body = rows.length === 0 ? 'no replicas' : replicasTable(terminal, rows);
    draw(`${body}\n\n${terminal.paint.dim(notice)}`);
  };
  return {
    begin: () => known.clear(),
    show: ({ replicas, removed, complete }: WatchReplicasResponse) => {
      for (const replica of replicas) known.set(`${replica.deploymentId} ${replica.replica?.id}`, replica);
      for (const { deploymentId, replicaId } of removed) known.delete(`${deploymentId} ${replicaId}`);
      if (complete) redraw('Ctrl-C ends');
    },
    note: (text: string) => redraw(text),
    end: () => draw.done(),
  };
}
