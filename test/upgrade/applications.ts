import { randomUUID } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import proto from '@temporalio/proto';
import { readKeyring } from '../../adapters/sealing/keyring.ts';
import { createTemporalClient } from '../../adapters/temporal/client.ts';
import type { Api } from '../../cli/client.ts';
import { isOver } from '../../cli/operation-state.ts';
import { words } from '../../cli/show.ts';
import { uploadContext } from '../../cli/upload-context.ts';
import { deploymentWorkflowId } from '../../contracts/deployment.ts';
import { LABEL } from '../../domain/naming.ts';
import { OperationState } from '../../gen/obiente/cloud/v1/deployments_pb.ts';
import { aWebServer, createSubject, type SpecInit, type Subject } from '../integration/deployed.ts';
import { openTestDocker, type TestDocker } from '../support/docker.ts';
import { eventually } from '../support/eventually.ts';
import { askThroughIngress } from '../support/http.ts';
import type { TestInstallation } from '../support/installation.ts';
import { openApi } from '../support/platform.ts';
import { removeInstance } from '../support/remove-instance.ts';

const { EventType } = proto.temporal.api.enums.v1;

/** How long a change takes at least: longer than the platform needs to stop and to start. */
const SLOW_SECONDS = 45;

const SLOW_STEP = `sleep ${SLOW_SECONDS}`;

/** Later than the end of any of these changes: a bound that only a hang reaches. */
const PATIENCE_MS = 300_000;

/** One application, whose change goes on while the platform is replaced. */
interface Application {
  readonly name: string;
  readonly subject: Subject;
  readonly operationId: string;
}

/** What became of one change. */
export interface Finding {
  readonly name: string;
  /** Empty when all is as it should be. */
  readonly problem: string;
}

/** The applications of this test. Everything of them is gone when the stack is disposed of. */
export async function openApplications(installation: TestInstallation, stack: AsyncDisposableStack) {
  const docker = await openTestDocker();
  stack.defer(docker.remove);
  stack.defer(() => removeInstance(docker.client, installation.instance));
  const { environment, stateDir } = installation;
  const apiUrl = `http://127.0.0.1:${environment.API_PORT}`;
  let applications: readonly Application[] = [];
  const subjects: Record<string, Subject> = {};
  const connected = async <Result>(work: (api: Api) => Promise<Result>): Promise<Result> => {
    const api = openApi({ apiUrl, stateDir });
    try {
      return await work(api);
    } finally {
      api.close();
    }
  };
  const old = aWebServer(docker.image, 'old');
  return {
    /** Brings all of them up. */
    deploy: () =>
      connected(async (api) => {
        for (const name of ['starting', 'building', 'waiting']) {
          const subject = await createSubject(api, old, `${name}-${randomUUID().slice(0, 8)}`);
          const { state, errorMessage } = await subject.outcome();
          if (state !== OperationState.SUCCEEDED) throw new Error(`${name} did not come up: ${errorMessage}`);
          subjects[name] = subject;
        }
      }),
    /** Asks for a change of each, and returns once each is in the middle of it. */
    change: () =>
      connected(async (api) => {
        const changes = await changesOf(api, docker, stack);
        applications = await Promise.all(
          Object.entries(subjects).map(async ([name, { id: deploymentId }]) => {
            const request = { idempotencyKey: randomUUID(), deploymentId, spec: changes[name] ?? {} };
            const { deployment } = await api.deployments.updateDeployment(request);
            const operationId = deployment?.operation?.id ?? '';
            await untilInTheMiddle(api, docker, { name, deploymentId, operationId });
            return { name, subject: subjects[name] as Subject, operationId };
          }),
        );
      }),
    /** Waits for the end of each change, and looks at what is there then. */
    findings: () =>
      connected(async (api) => {
        const waiting = applications.find(({ name }) => name === 'waiting');
        const word = { idempotencyKey: randomUUID(), operationId: waiting?.operationId ?? '' };
        await eventually(() => api.operations.approveOperation(word), { patienceMs: PATIENCE_MS });
        return await Promise.all(
          applications.map(async (application) => ({
            name: application.name,
            problem: (await problemsOf(api, docker, { application, installation })).join('; '),
          })),
        );
      }),
  };
}

async function changesOf(
  api: Api,
  { image }: TestDocker,
  stack: AsyncDisposableStack,
): Promise<Record<string, SpecInit>> {
  const serve = 'mkdir -p /tmp/www && echo "$BODY" > /tmp/www/index.html && exec httpd -f -p 8080 -h /tmp/www';
  const contextSha256 = await uploadSlowBuild(api, image, stack);
  return {
    starting: aWebServer(image, 'new', {
      command: ['/bin/sh', '-c', `sleep ${SLOW_SECONDS}; ${serve}`],
      healthCheck: { kind: { case: 'automatic', value: {} }, startPeriod: { seconds: BigInt(2 * SLOW_SECONDS) } },
    }),
    building: aWebServer(image, 'new', { source: { case: 'dockerfile', value: { contextSha256 } } }),
    waiting: aWebServer(image, 'new', { rollout: { strategy: { case: 'rolling', value: { approval: true } } } }),
  };
}

async function uploadSlowBuild(api: Api, image: string, stack: AsyncDisposableStack): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'obiente-slow-build-'));
  stack.defer(() => rm(folder, { recursive: true, force: true }));
  await writeFile(join(folder, 'Dockerfile'), `FROM ${image}\nRUN ${SLOW_STEP}\n`);
  const { memberships } = await api.identity.whoAmI({});
  const organizationId = memberships[0]?.organizationId ?? '';
  const { signal } = new AbortController();
  return (await uploadContext(api, { folder, dockerfile: 'Dockerfile', organizationId, signal })).sha256;
}

/** Waits until an operation is where it will be for a while. */
async function untilInTheMiddle(
  api: Api,
  { client }: TestDocker,
  { name, deploymentId, operationId }: { name: string; deploymentId: string; operationId: string },
): Promise<void> {
  const isThere: Record<string, () => Promise<boolean>> = {
    starting: async () => {
      const filters = { label: [`${LABEL.deploymentId}=${deploymentId}`] };
      const containers = await client.listContainers({ filters });
      return containers.some(({ Labels }) => Labels[LABEL.replica]?.startsWith('r2-'));
    },
    building: async () => (await client.listContainers()).some(({ Command }) => Command.includes(SLOW_STEP)),
    waiting: async () =>
      (await api.operations.getOperation({ operationId })).operation?.state === OperationState.WAITING,
  };
  const check = async (): Promise<void> => {
    if (!(await isThere[name]?.())) throw new Error(`${name} is not in the middle yet`);
  };
  await eventually(check, { patienceMs: PATIENCE_MS });
}

/** What is not as it should be once an operation has ended. */
async function problemsOf(
  api: Api,
  { client }: TestDocker,
  { application, installation }: { application: Application; installation: TestInstallation },
): Promise<string[]> {
  const { subject, operationId } = application;
  const operation = await eventually(
    async () => {
      const answer = await api.operations.getOperation({ operationId });
      if (!answer.operation || !isOver(answer.operation.state)) throw new Error('the operation goes on');
      return answer.operation;
    },
    { patienceMs: PATIENCE_MS },
  );
  const filters = { label: [`${LABEL.deploymentId}=${subject.id}`] };
  const replicas = (await client.listContainers({ all: true, filters })).map(
    ({ Labels, State }) => `${Labels[LABEL.replica]} ${State}`,
  );
  const port = Number(installation.environment.HTTP_PORT);
  const answer = await eventually(() => askThroughIngress(port, `${subject.name}.localhost`));
  const failures = await failedTasks(installation, subject.id);
  const { state, errorMessage } = operation;
  return [
    ...(state === OperationState.SUCCEEDED ? [] : [`it ${words.operation(state)}: ${errorMessage}`]),
    ...(replicas.join() === 'r2-0 running' ? [] : [`there is ${replicas.join(', ')}`]),
    ...(answer.body.trim() === 'new' ? [] : [`it answers ${answer.status} ${answer.body.trim()}`]),
    ...failures.map((failure) => `its workflow could not be continued: ${failure}`),
  ];
}

/** What this checkout could not make of the history that the previous commit began. */
async function failedTasks({ stateDir, environment }: TestInstallation, deploymentId: string): Promise<string[]> {
  const payloadKeys = await readKeyring(join(stateDir, 'keys', 'payload.key'), 'PAYLOAD_KEY_FILE');
  const address = `127.0.0.1:${environment.TEMPORAL_PORT}`;
  const { client, close } = createTemporalClient({ address, namespace: 'default', payloadKeys });
  try {
    const { events } = await client.workflow.getHandle(deploymentWorkflowId(deploymentId)).fetchHistory();
    return (events ?? []).flatMap(({ eventType, workflowTaskFailedEventAttributes: failed }) =>
      eventType === EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED ? [String(failed?.failure?.message)] : [],
    );
  } finally {
    await close();
  }
}
