import type { Command } from 'commander';
import {
  type Deployment,
  DeploymentSchema,
  OperationState,
  type Replica,
  ReplicaState,
} from '../../gen/obiente/cloud/v1/deployments_pb.ts';
import type { ComposeSource, GitSource } from '../../gen/obiente/cloud/v1/spec_pb.ts';
import { action, type CliContext } from '../invocation.ts';
import { firstLine, plainText } from '../plain-text.ts';
import { getDeployment } from '../resolve.ts';
import { age, lastExit, messageJson, paintState, replicaCount, replicaState, wait, words } from '../show.ts';
import { type Column, table } from '../table.ts';
import type { Terminal } from '../terminal.ts';

/** Adds `obiente status`. */
export function addStatus(program: Command, context: CliContext): void {
  program
    .command('status')
    .description('show a deployment and its replicas')
    .argument('<name>', 'name or id of the deployment')
    .option('--project <name>', 'the project that it belongs to')
    .action(
      action<{ project?: string }, [string]>(
        context,
        async ({ openApi, organization, terminal }, { project }, name) => {
          const api = await openApi();
          const { id: deploymentId } = await getDeployment(api, { name, organization, project });
          const { deployment } = await api.deployments.getDeployment({ deploymentId });
          if (deployment === undefined) return;
          terminal.document(messageJson(DeploymentSchema, deployment));
          if (!terminal.isJson) describe(terminal, deployment);
        },
      ),
    );
}

function describe(terminal: Terminal, deployment: Deployment): void {
  const { paint } = terminal;
  const { statusReason, operation } = deployment;
  const isTold = statusReason === '' || statusReason === operation?.errorMessage;
  const reason = isTold ? '' : `, ${firstLine(statusReason)}`;
  const facts: readonly (readonly [string, string])[] = [
    ['name', plainText(deployment.name)],
    ['id', deployment.id],
    ['status', `${paintState(terminal, words.status(deployment.status))}${reason}`],
    ['replicas', replicaCount(deployment)],
    ['revision', `${deployment.revision}, serving ${deployment.servingRevision || 'none'}`],
    ['image', deployment.spec === undefined ? '-' : plainText(imageOf(deployment))],
    ['operation', operationOf(deployment)],
    ...failureLines(deployment).map((line) => ['', line] as const),
    ['url', deployment.urls.map(plainText).join('  ') || '-'],
  ];
  for (const [label, value] of facts) terminal.line(`${paint.dim(label.padEnd(10))}${value}`);
  if (deployment.replicas.length === 0) return;
  const service: Column<Replica> = { heading: 'SERVICE', cell: ({ service: name }) => name };
  const columns: readonly Column<Replica>[] = [
    { heading: 'REPLICA', cell: ({ id }) => id },
    ...(deployment.spec?.source.case === 'compose' ? [service] : []),
    { heading: 'STATE', cell: replicaState, paint: (text) => paintState(terminal, text) },
    { heading: 'NODE', cell: ({ nodeId }) => nodeId },
    { heading: 'ADDRESS', cell: ({ address }) => address || '-' },
    { heading: 'CONTAINER', cell: ({ containerId }) => containerId.slice(0, 12) || '-' },
    { heading: 'UP', cell: (replica) => (isUp(replica) ? age(replica.startedAt) : '') || '-', isNumber: true },
    { heading: 'RESTARTS', cell: ({ restarts }) => String(restarts), isNumber: true },
    { heading: 'LAST EXIT', cell: (replica) => lastExit(replica) || '-' },
    { heading: 'NEXT TRY', cell: ({ nextRestartAt }) => wait(nextRestartAt) || '-' },
  ];
  terminal.line('');
  terminal.line(table(terminal, columns, deployment.replicas));
}

function isUp({ state }: Replica): boolean {
  return state !== ReplicaState.EXITED;
}

function imageOf({ spec, imageDigest }: Deployment): string {
  const digest = imageDigest === '' ? '' : ` (${imageDigest.slice(0, 19)})`;
  const source = spec?.source;
  if (source?.case === 'image') return `${source.value.reference}${digest}`;
  if (source?.case === 'compose') return composeOf(source.value);
  if (source?.case === 'static') return `a page${digest}`;
  if (source?.case === 'nixpacks') return `built by nixpacks${digest}`;
  if (source?.case === 'git') return `${repositoryOf(source.value)}${digest}`;
  return `built from ${source?.value?.dockerfilePath || 'Dockerfile'}${digest}`;
}

function composeOf({ services, git }: ComposeSource): string {
  const from = git === undefined ? '' : ` in ${repositoryOf(git)}`;
  return services.length === 0 ? `a Compose file${from}` : `${services.length} services of a Compose file${from}`;
}

function repositoryOf({ url, ref, commit }: GitSource): string {
  return `${url} ${ref}${commit === '' || commit === ref ? '' : ` at ${commit.slice(0, 12)}`}`;
}

function operationOf({ operation }: Deployment): string {
  if (operation === undefined) return '-';
  const text = `${words.kind(operation.kind)} ${words.operation(operation.state)}, ${age(operation.createdAt)} ago`;
  if (operation.state !== OperationState.FAILED) return text;
  return `${text}: ${operation.errorCode}: ${firstLine(operation.errorMessage)}`;
}

/** What a failure says after its first line: mostly what the application printed last. */
function failureLines({ operation }: Deployment): string[] {
  if (operation?.state !== OperationState.FAILED) return [];
  return operation.errorMessage
    .split('\n')
    .slice(1)
    .map((line) => `  ${plainText(line)}`);
}
