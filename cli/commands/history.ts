import { timestampDate } from '@bufbuild/protobuf/wkt';
import { Code, ConnectError } from '@connectrpc/connect';
import type { Command } from 'commander';
import { DomainError } from '../../domain/errors.ts';
import { PLATFORM_ACTOR } from '../../domain/operation.ts';
import {
  type DeploymentEvent,
  DeploymentEventSchema,
  type Operation,
  OperationKind,
  OperationSchema,
  type Revision,
} from '../../gen/obiente/cloud/v1/deployments_pb.ts';
import { DeploymentSpecSchema } from '../../gen/obiente/cloud/v1/spec_pb.ts';
import type { Api } from '../client.ts';
import { exportHistory } from '../export-history.ts';
import { action, type CliContext, type Invocation } from '../invocation.ts';
import { allPages } from '../pages.ts';
import { firstLine, plainText } from '../plain-text.ts';
import { parseWhole, showSpan } from '../quantities.ts';
import { getDeployment, isId } from '../resolve.ts';
import { age, messageJson, paintState, words } from '../show.ts';
import { diffSpecs } from '../spec-diff.ts';
import { type Column, table } from '../table.ts';
import type { Terminal } from '../terminal.ts';

/** Operations that one call of `obiente history` shows without being asked for more. */
const SHOWN = 20;

interface HistoryOptions {
  readonly project?: string;
  readonly all?: boolean;
}

/** Adds `obiente history`, `operation` and `diff`. */
export function addHistory(program: Command, context: CliContext): void {
  program
    .command('history')
    .description('list what was done to a deployment, newest first')
    .argument('<name>', 'name of the deployment, or its id also when it has been deleted')
    .option('--project <name>', 'the project that it belongs to')
    .option('--all', `everything instead of the newest ${SHOWN}`)
    .action(action<HistoryOptions, [string]>(context, showHistory));
  program
    .command('operation')
    .description('show one operation with each of its steps')
    .argument('<id>', 'id of the operation')
    .option('--history <file>', 'write the history of its workflow to this file instead, to be replayed')
    .action(
      action<{ readonly history?: string }, [string]>(context, (invocation, { history }, id) =>
        history === undefined ? showOperation(invocation, id) : exportHistory(invocation, id, history),
      ),
    );
  program
    .command('diff')
    .description('show what differs between two revisions')
    .argument('<name>', 'name or id of the deployment')
    .argument('<from>', 'a revision')
    .argument('[to]', 'another one (default: the newest)')
    .option('--project <name>', 'the project that it belongs to')
    .action(action<HistoryOptions, [string, string, string | undefined]>(context, showDiff));
}

async function showHistory(
  { openApi, organization, terminal }: Invocation,
  { project, all }: HistoryOptions,
  name: string,
): Promise<void> {
  const api = await openApi();
  const deploymentId = isId(name) ? name : (await getDeployment(api, { name, organization, project })).id;
  const operations = all
    ? await allPages(async (page) => {
        const answer = await api.operations.listOperations({ deploymentId, page });
        return { items: answer.operations, page: answer.page };
      })
    : (await api.operations.listOperations({ deploymentId, page: { size: SHOWN } })).operations;
  const commits = await commitsOf(api, deploymentId, operations);
  const commit: Column<Operation> = { heading: 'COMMIT', cell: ({ revision }) => commits.get(revision) ?? '-' };
  const columns: readonly Column<Operation>[] = [
    { heading: 'OPERATION', cell: ({ id }) => id },
    { heading: 'KIND', cell: describeKind },
    { heading: 'STATE', cell: ({ state }) => words.operation(state), paint: (text) => paintState(terminal, text) },
    ...(commits.size > 0 ? [commit] : []),
    { heading: 'AGO', cell: ({ createdAt }) => age(createdAt), isNumber: true },
    { heading: 'TOOK', cell: took, isNumber: true },
    { heading: 'WHY', cell: (operation) => plainText(firstLine(operation.errorMessage || operation.reason)) || '-' },
  ];
  terminal.document(operations.map((operation) => messageJson(OperationSchema, operation)));
  terminal.line(table(terminal, columns, operations));
}

/** By revision, the beginning of the commit that it was built from; nothing of a deployment that has been deleted. */
async function commitsOf(
  api: Api,
  deploymentId: string,
  operations: readonly Operation[],
): Promise<ReadonlyMap<number, string>> {
  const wanted = operations.map(({ revision }) => revision).filter((revision) => revision > 0);
  if (wanted.length === 0) return new Map();
  const oldest = Math.min(...wanted);
  const commits = new Map<number, string>();
  try {
    for (let token = ''; ; ) {
      const { revisions, page } = await api.deployments.listRevisions({ deploymentId, page: { size: 100, token } });
      for (const { number, spec } of revisions) {
        const repository = spec?.source.case === 'compose' ? spec.source.value.git : spec?.source.value;
        if (repository?.$typeName !== 'obiente.cloud.v1.GitSource' || repository.commit === '') continue;
        commits.set(number, repository.commit.slice(0, 12));
      }
      token = page?.nextToken ?? '';
      if (token === '' || (revisions.at(-1)?.number ?? 0) <= oldest) return commits;
    }
  } catch (error) {
    if (error instanceof ConnectError && error.code === Code.NotFound) return commits;
    throw error;
  }
}

async function showOperation({ openApi, terminal }: Invocation, operationId: string): Promise<void> {
  const api = await openApi();
  const { operation, steps } = await api.operations.getOperation({ operationId });
  if (operation === undefined) return;
  terminal.document({
    ...(messageJson(OperationSchema, operation) as object),
    steps: steps.map((step) => messageJson(DeploymentEventSchema, step)),
  });
  if (terminal.isJson) return;
  describe(terminal, operation);
  terminal.line('');
  const began = operation.createdAt === undefined ? 0 : timestampDate(operation.createdAt).getTime();
  for (const step of steps) terminal.line(describeStep(terminal, step, began));
}

function describe(terminal: Terminal, operation: Operation): void {
  const facts: readonly (readonly [string, string])[] = [
    ['operation', operation.id],
    ['kind', describeKind(operation)],
    ['state', paintState(terminal, words.operation(operation.state))],
    ...(operation.waitsFor === '' ? [] : [['waits for', operation.waitsFor] as const]),
    [
      'asked',
      `${age(operation.createdAt)} ago by ${operation.actorUserId === PLATFORM_ACTOR ? 'the platform' : operation.actorUserId}`,
    ],
    ['took', took(operation)],
    ...(operation.reason === '' ? [] : [['reason', plainText(operation.reason)] as const]),
    ...(operation.supersededBy === '' ? [] : [['newer one', operation.supersededBy] as const]),
    ...operation.errorMessage.split('\n').flatMap((line, index) => {
      if (operation.errorMessage === '') return [];
      return [[index === 0 ? 'error' : '', plainText(index === 0 ? `${operation.errorCode}: ${line}` : line)] as const];
    }),
  ];
  for (const [label, value] of facts) terminal.line(`${terminal.paint.dim(label.padEnd(11))}${value}`);
}

/** Time since the operation was asked for, the step, and what it took: `attempt 2, prepare 10 ms, start 200 ms`. */
function describeStep({ paint }: Terminal, { at, message, kind, details }: DeploymentEvent, beganMs: number): string {
  const since = at === undefined ? 0 : timestampDate(at).getTime() - beganMs;
  const parts = Object.entries(details).map(([name, value]) =>
    name.endsWith('Ms') ? `${name.slice(0, -2)} ${value} ms` : `${name} ${value}`,
  );
  const took = parts.length > 0 ? paint.dim(`  (${parts.join(', ')})`) : '';
  return `${paint.dim(`${(since / 1000).toFixed(1).padStart(7)} s`)}  ${plainText(firstLine(message)) || kind}${took}`;
}

function describeKind(operation: Operation): string {
  const kind = words.kind(operation.kind);
  if (operation.revision > 0) return `${kind} r${operation.revision}`;
  if (operation.kind === OperationKind.MOVE) return describeMove(kind, operation);
  return operation.scaleService === '' ? kind : `${kind} ${operation.scaleService} to ${operation.scaleReplicas}`;
}

function describeMove(kind: string, { moveFrom, moveTo }: Operation): string {
  return [kind, moveFrom && `off ${moveFrom}`, moveTo && `to ${moveTo}`].filter(Boolean).join(' ');
}

function took({ startedAt, finishedAt }: Operation): string {
  if (startedAt === undefined || finishedAt === undefined) return '-';
  const ms = timestampDate(finishedAt).getTime() - timestampDate(startedAt).getTime();
  return ms < 60_000 ? `${(ms / 1000).toFixed(1)} s` : showSpan(ms);
}

async function showDiff(
  { openApi, organization, terminal }: Invocation,
  { project }: HistoryOptions,
  name: string,
  ...numbers: [string, string | undefined]
): Promise<void> {
  const api = await openApi();
  const { id: deploymentId, revision: newest } = await getDeployment(api, { name, organization, project });
  const [from, to] = numbers.map((text, index) =>
    text === undefined ? newest : parseWhole(index === 0 ? 'from' : 'to', text, { min: 1, max: newest }),
  );
  const [before, after] = [
    await getRevision(api, deploymentId, from ?? 1),
    await getRevision(api, deploymentId, to ?? 1),
  ];
  const changes = diffSpecs(toPlain(before), toPlain(after));
  terminal.document({ from: before.number, to: after.number, changes });
  if (changes.length === 0) terminal.line(`revisions ${before.number} and ${after.number} want the same`);
  for (const { path, before: was, after: is } of changes) {
    if (was !== undefined) terminal.line(terminal.paint.red(`- ${path}: ${plainText(JSON.stringify(was))}`));
    if (is !== undefined) terminal.line(terminal.paint.green(`+ ${path}: ${plainText(JSON.stringify(is))}`));
  }
}

/** Revisions are listed newest first, so the page before the wanted one begins with it. */
async function getRevision(api: Api, deploymentId: string, number: number): Promise<Revision> {
  const revisions = await allPages(async (page) => {
    const answer = await api.deployments.listRevisions({ deploymentId, page });
    return { items: answer.revisions, page: answer.page };
  });
  const found = revisions.find((revision) => revision.number === number);
  if (found) return found;
  throw new DomainError('NOT_FOUND', `revision ${number} not found`, { hint: 'Retention may have pruned it.' });
}

/** Variables by their fingerprint, so that a changed value shows without being shown. */
function toPlain({ spec, imageDigests }: Revision): unknown {
  const plain = spec === undefined ? {} : (messageJson(DeploymentSpecSchema, spec) as Record<string, unknown>);
  const environment = Object.fromEntries((spec?.environment ?? []).map(({ name, fingerprint }) => [name, fingerprint]));
  return { ...plain, environment, images: imageDigests };
}
