import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { openSync } from 'node:fs';
import { mkdtemp, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { OperationState } from '../../../gen/obiente/cloud/v1/deployments_pb.ts';
import { NodeState } from '../../../gen/obiente/cloud/v1/nodes_pb.ts';
import { aWebServer, createSubject } from '../../integration/deployed.ts';
import { copyImage } from '../../support/copy-image.ts';
import { openTestDocker } from '../../support/docker.ts';
import { eventually } from '../../support/eventually.ts';
import { probeApplication } from '../application.ts';
import type { Cluster } from '../cluster.ts';

import { startDockerOn } from '../cluster-node.ts';
import type { Experiment, ExperimentOptions } from '../experiment.ts';
import { atMost, secondsOf } from '../figures.ts';

const ROOT = join(import.meta.dirname, '../../..');

/** A host joins with a token, runs an application, and is taken away again. */
export const nodeJoined: Experiment = {
  name: 'node-joined',
  about: 'a fourth host joins with a token of its own, serves an application, is drained and removed, and stays away',
  runs: 1,
  run: async (cluster, options) => {
    const readyMs: number[] = [];
    const failed: number[] = [];
    const breaks: string[] = [];
    for (let run = 0; run < options.runs; run += 1) {
      const found = await joinOne(cluster, options, run);
      readyMs.push(found.readyMs);
      failed.push(found.failed);
      breaks.push(...found.breaks);
      options.tell(`${run + 1}: ready ${(found.readyMs / 1000).toFixed(1)} s after the command began`);
    }
    return {
      runs: options.runs,
      figures: [
        ...secondsOf('joined and ready', readyMs, null),
        atMost(0, { name: 'failed requests', value: failed.reduce((sum, count) => sum + count, 0), unit: '' }),
      ],
      breaks,
    };
  },
};

async function joinOne(cluster: Cluster, { stack }: ExperimentOptions, run: number) {
  const { api, network } = cluster;
  const breaks: string[] = [];
  const hold = (what: string, holds: boolean): void => {
    if (!holds) breaks.push(what);
  };
  const host = await network.addHost(`joins-${run}`);
  const docker = await startDockerOn(stack, host);
  const dir = await mkdtemp(join(tmpdir(), 'obiente-joins-'));
  stack.defer(() => rm(dir, { recursive: true, force: true }));
  const server = `http://${network.address}:${new URL(api.url).port}`;
  const joins = async (token: string, ...more: readonly string[]) => {
    const [program = '', ...enter] = host.enter;
    const args = ['--server', server, '--token', token, '--insecure', '--dir', join(dir, 'node'), '--no-service'];
    const command = [...enter, process.execPath, join(ROOT, 'cli/main.ts'), '--json', 'node', 'join', ...args];
    const env = { PATH: process.env.PATH, DOCKER_SOCKET: docker.socketPath };
    const label = ['--label', `joined=run-${run}`, '--region', 'lab'];
    return await promisify(execFile)(program, [...command, ...label, ...more], { env, cwd: ROOT }).then(
      ({ stdout }) => ({ code: 0, said: JSON.parse(stdout), text: stdout }),
      (error: { code: number; stdout: string; stderr: string }) => {
        return { code: error.code, said: JSON.parse(error.stdout), text: `${error.stdout}${error.stderr}` };
      },
    );
  };

  const { token } = await api.nodes.createNodeToken({});
  const dry = await joins(token, '--dry-run');
  hold(`a dry run says what it would do: ${dry.text}`, dry.code === 0 && dry.said.dryRun === true);
  const wrong = await joins('obn_this-is-no-token-at-all');
  hold(`a wrong token is refused by name: ${wrong.text}`, wrong.text.includes('nobody has made this token'));

  const begun = performance.now();
  const joined = await joins(token);
  hold(`the host joins: ${joined.text}`, joined.code === 0 && joined.said.joined === true);
  hold('no output has a secret in it', !joined.text.includes(token));
  const nodeId = String(joined.said.nodeId);
  for (const file of ['payload.key', 'node.env', 'signing.jwk.json']) {
    hold(`${file} is its owner's alone`, ((await stat(join(dir, 'node', file))).mode & 0o077) === 0);
  }
  let node = startRole(host.enter, dir);
  stack.defer(() => end(node));
  await untilIs(cluster, nodeId, NodeState.READY);
  const readyMs = performance.now() - begun;

  const again = await joins((await api.nodes.createNodeToken({})).token);
  hold('a host that joins again keeps its id', again.said.nodeId === nodeId);
  const used = await joins(token);
  hold('its token lets the same host ask again', used.code === 0);

  const corner = await openTestDocker();
  stack.defer(corner.remove);
  await copyImage(cluster.image, corner.client, docker.client);
  const placement = { constraints: [`node.labels.joined==run-${run}`] };
  const subject = await createSubject(api, { ...aWebServer(cluster.image, 'joined', { replicas: 1 }), placement });
  const { state, errorMessage } = await subject.outcome();
  hold(`it is deployed there: ${errorMessage}`, state === OperationState.SUCCEEDED);
  const { replicas } = await subject.get();
  hold(
    'it runs on the new node',
    replicas.every((replica) => replica.nodeId === nodeId),
  );
  const prober = await probeApplication(cluster, subject);
  const { failed } = await prober.stop();

  const refused = await api.nodes.removeNode({ nodeId }).catch((error: unknown) => String(error));
  hold(`it is not removed while it serves: ${refused}`, String(refused).includes('1 replica is there'));
  await subject.remove();
  await api.nodes.cordonNode({ nodeId });
  await api.nodes.removeNode({ nodeId });
  await end(node);
  node = startRole(host.enter, dir);
  await eventually(async () => {
    const text = await readFile(join(dir, 'node.log'), 'utf8');
    if (!text.includes('was removed from the cluster') && !text.includes('signature is not valid')) {
      throw new Error('not refused yet');
    }
  });
  const { nodes } = await api.nodes.listNodes({});
  hold(
    'a removed node does not come back by itself',
    nodes.every(({ id }) => id !== nodeId),
  );
  await end(node);
  return { readyMs, failed: failed.length, breaks };
}

function startRole(enter: readonly string[], dir: string): ChildProcess {
  const [program = '', ...args] = enter;
  const role = [process.execPath, `--env-file=${join(dir, 'node/node.env')}`, join(ROOT, 'cli/main.ts'), 'node'];
  const log = openSync(join(dir, 'node.log'), 'a');
  return spawn(program, [...args, ...role], {
    ...{ cwd: ROOT, env: { PATH: process.env.PATH }, detached: true },
    stdio: ['ignore', log, log],
  });
}

async function untilIs({ api }: Cluster, nodeId: string, state: NodeState): Promise<void> {
  await eventually(
    async () => {
      const { node } = await api.nodes.getNode({ nodeId });
      if (node?.state !== state) throw new Error(`${nodeId} is ${node?.state}`);
    },
    { patienceMs: 120_000 },
  );
}

async function end(node: ChildProcess): Promise<void> {
  if (node.exitCode !== null || node.signalCode !== null) return;
  const exit = once(node, 'exit');
  node.kill('SIGTERM');
  await exit;
}
