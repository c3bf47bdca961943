import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { create } from '@bufbuild/protobuf';
import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import { Code, ConnectError } from '@connectrpc/connect';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  CreateDeploymentRequestSchema,
  DeploymentStatus,
  ReplicaSchema,
  ReplicaState,
  UpdateDeploymentRequestSchema,
} from '../../gen/obiente/cloud/v1/deployments_pb.ts';
import { MetricsResolution } from '../../gen/obiente/cloud/v1/metrics_pb.ts';
import { Builder } from '../../gen/obiente/cloud/v1/spec_pb.ts';
import { startFakePlatform } from './fake-platform.ts';
import { runCommand } from './run-command.ts';

let platform: Awaited<ReturnType<typeof startFakePlatform>>;
let folder: string;

beforeEach(async () => {
  platform = await startFakePlatform();
  folder = mkdtempSync(join(tmpdir(), 'app-'));
});

afterEach(async () => {
  await platform.stop();
  rmSync(folder, { recursive: true, force: true });
});

const obiente = (args: string[], options: Partial<Parameters<typeof runCommand>[1]> = {}) =>
  runCommand(args, { url: platform.url, ...options });

const deployImage = (...more: string[]) =>
  obiente(['deploy', '--image', 'nginx:1', '--name', 'web', '--port', '80', ...more]);

describe('obiente deploy', () => {
  it('creates the project and the deployment, shows the steps on standard error and ends with the address', async () => {
    const result = await deployImage();
    expect(result).toMatchObject({ exitCode: 0, stdout: 'http://web.localhost:8080\n' });
    expect(result.stderr).toMatch(/✓ .*replica r1-0 is healthy\n✓ .*done\n$/);
    expect(platform.callsOf('CreateProject')).toMatchObject([{ request: { name: 'default' } }]);
  });

  it('writes one JSON document that holds the address', async () => {
    const result = await deployImage('--json');
    expect(result.json()).toMatchObject({
      name: 'web',
      status: 'DEPLOYMENT_STATUS_RUNNING',
      url: 'http://web.localhost:8080',
    });
  });

  it('uploads a folder under the hash of its content and reads its obiente.yaml', async () => {
    writeFileSync(join(folder, 'Dockerfile'), 'FROM scratch\n');
    writeFileSync(join(folder, 'obiente.yaml'), 'name: shop\nport: 3000\nreplicas: 2\n');
    const once = await obiente(['deploy', folder, '--json']);
    const again = await obiente(['deploy', '.', '--json'], { cwd: folder });
    expect([once.exitCode, again.exitCode]).toEqual([0, 0]);
    const [created] = platform.requestsOf('CreateDeployment', CreateDeploymentRequestSchema);
    const [updated] = platform.requestsOf('UpdateDeployment', UpdateDeploymentRequestSchema);
    expect(created?.spec).toMatchObject({ replicas: 2, port: 3000, source: { case: 'dockerfile' } });
    expect(updated?.spec?.source).toEqual(created?.spec?.source);
  });

  it('deploys a page that is ready, on the port of what serves it unless another is named', async () => {
    mkdirSync(join(folder, 'public'));
    writeFileSync(join(folder, 'public', 'index.html'), 'hello');
    writeFileSync(join(folder, 'README.md'), 'not for everybody');
    const deployed = await obiente(['deploy', folder, '--name', 'web']);
    expect(deployed).toMatchObject({ exitCode: 0 });
    expect(deployed.stderr).toContain('found an index.html in public/');
    expect(deployed.stderr).toContain('uploaded 1 files');
    await obiente(['deploy', folder, '--name', 'other', '--port', '80']);
    await obiente(['deploy', folder, '--name', 'hidden', '--no-port']);
    const created = platform.requestsOf('CreateDeployment', CreateDeploymentRequestSchema);
    expect(created[0]?.spec?.source).toMatchObject({ case: 'static', value: { folder: '' } });
    expect(created.map(({ spec }) => spec?.port)).toEqual([8080, 80, undefined]);
  });

  it('uploads an application that nixpacks builds, and what is asked for by its name', async () => {
    writeFileSync(join(folder, 'package.json'), '{}');
    const deployed = await obiente(['deploy', folder, '--name', 'web']);
    expect(deployed.stderr).toContain('found a Node.js application (package.json at its root), which nixpacks builds');
    writeFileSync(join(folder, 'Dockerfile'), 'FROM scratch\n');
    await obiente(['deploy', folder, '--name', 'asked', '--builder', 'nixpacks']);
    writeFileSync(join(folder, 'obiente.yaml'), 'builder: nixpacks\n');
    await obiente(['deploy', folder, '--name', 'file']);
    await obiente(['deploy', folder, '--name', 'other', '--builder', 'dockerfile']);
    await obiente(['deploy', '--git', 'https://github.com/acme/shop.git', '--builder', 'static']);
    await obiente(['deploy', '--git', 'https://github.com/acme/shop.git', '--builder', 'compose', '--name', 'several']);
    const created = platform.requestsOf('CreateDeployment', CreateDeploymentRequestSchema);
    const cases = ['nixpacks', 'nixpacks', 'nixpacks', 'dockerfile', 'git', 'git'];
    expect(created.map(({ spec }) => spec?.source.case)).toEqual(cases);
    expect(created[4]?.spec?.source.value).toMatchObject({ builder: Builder.STATIC });
    expect(created[5]?.spec?.source.value).toMatchObject({ composePath: '', builder: Builder.UNSPECIFIED });
  });

  it.each([
    [['--builder', 'railpack'], /--builder: "railpack" is not known; known are dockerfile, static, compose, nixpacks/],
    [['--builder', 'nixpacks', '--dockerfile', 'x'], /--builder: nixpacks is not possible with --dockerfile/],
    [['--builder', 'static', '--compose'], /--builder: static is not possible with --compose/],
    [['--builder', 'nixpacks', '--image', 'nginx'], /--builder: is for folders and repositories/],
    [['--builder', 'static'], /looked for a page/],
  ])('refuses %j', async (options, words) => {
    const { exitCode, stderr } = await obiente(['deploy', folder, ...options]);
    expect([exitCode === 0, stderr]).toEqual([false, expect.stringMatching(words)]);
    expect(platform.callsOf('UploadContext')).toEqual([]);
  });

  it('deploys a repository without uploading anything', async () => {
    await obiente([
      'deploy',
      '--git',
      'https://github.com/acme/Shop.git',
      '--ref',
      'v1',
      '--dockerfile',
      'a/Dockerfile',
    ]);
    const [created] = platform.requestsOf('CreateDeployment', CreateDeploymentRequestSchema);
    expect(created?.name).toBe('shop');
    const value = { url: 'https://github.com/acme/Shop.git', ref: 'v1', dockerfilePath: 'a/Dockerfile' };
    expect(created?.spec?.source).toMatchObject({ case: 'git', value });
    expect(platform.callsOf('UploadContext')).toEqual([]);
  });

  it.each([
    [['--name', 'Bad_Name'], /name: "Bad_Name" is not allowed; allowed are 2 to 63 lower-case letters/],
    [['--idempotency-key', 'short'], /--idempotency-key: "short" is not allowed; allowed are 8 to 121/],
    [['--memory', '1MiB'], /--memory: "1MiB" is too little; allowed is at least 6\.0 MiB/],
  ])('refuses %j before anything is uploaded', async (options, words) => {
    writeFileSync(join(folder, 'Dockerfile'), 'FROM scratch\n');
    const { exitCode, stderr } = await obiente(['deploy', folder, ...options]);
    expect(exitCode).toBe(3);
    expect(stderr).toMatch(words);
    expect(platform.callsOf('UploadContext')).toEqual([]);
  });

  it('goes on watching through a killed API, and shows every step once', async () => {
    platform.behaviour.steps = ['one', 'two', 'three'].map((message) => ({ kind: 'replica.placed', message }));
    let cuts = 0;
    platform.behaviour.beforeMessage = (sequence) => {
      if (sequence !== cuts + 2 || cuts === 2) return;
      cuts += 1;
      platform.cutConnections();
    };
    const result = await deployImage();
    expect(result.exitCode).toBe(0);
    expect([...result.stderr.matchAll(/✓ .*\b(one|two|three|done)\n/g)].map(([, step]) => step)).toEqual([
      'one',
      'two',
      'three',
      'done',
    ]);
    expect(result.stderr).toContain('the connection to the API broke, trying again');
  });

  it('sends a call again with the same key when its answer was lost', async () => {
    let lost = 0;
    platform.behaviour.beforeCall = (method) => {
      if (method !== 'CreateDeployment' || lost === 2) return;
      lost += 1;
      if (lost === 1) throw new ConnectError('draining', Code.Unavailable);
      platform.cutConnections();
    };
    const result = await deployImage();
    expect(result.exitCode).toBe(0);
    const keys = platform
      .requestsOf('CreateDeployment', CreateDeploymentRequestSchema)
      .map(({ idempotencyKey }) => idempotencyKey);
    expect(keys).toHaveLength(3);
    expect(new Set(keys).size).toBe(1);
  });

  it('reaches the same operation when the command is repeated with its key', async () => {
    const first = await deployImage('--idempotency-key', 'release-42', '--json');
    const again = await deployImage('--idempotency-key', 'release-42', '--json');
    expect(again.json()).toEqual(first.json());
    expect(platform.callsOf('UpdateDeployment')).toEqual([]);
    await deployImage('--idempotency-key', 'release-43');
    expect(platform.callsOf('UpdateDeployment')).toMatchObject([{ request: { idempotencyKey: 'release-43.update' } }]);
  });

  it('shows what the build prints while it goes on, and does without where that cannot be had', async () => {
    platform.behaviour.steps = [
      { kind: 'build.waiting', message: 'waiting for a build slot on n1' },
      { kind: 'build.started', message: 'building the image on n1' },
      { kind: 'build.finished', message: 'image of revision 1 is built' },
    ];
    platform.behaviour.buildLog = [
      { number: 1n, text: 'Step 1/1 : FROM scratch\x07' },
      { number: 2n, text: 'the build begins again', remark: true },
    ];
    const result = await deployImage();
    expect(result).toMatchObject({ exitCode: 0, stdout: 'http://web.localhost:8080\n' });
    expect(result.stderr).toContain('waiting for a build slot on n1');
    expect(result.stderr).toContain('  | Step 1/1 : FROM scratch\u2407\n  | [the build begins again]\n');
    expect(platform.callsOf('StreamBuildLogs')).toMatchObject([{ request: { revision: 1, follow: true } }]);
    platform.behaviour.buildLog = [];
    expect(await deployImage()).toMatchObject({ exitCode: 0 });
  });

  it('fails with code, message, last lines and hint of a failed operation', async () => {
    platform.behaviour.failure = {
      code: 'REPLICA_UNHEALTHY',
      message: 'replica r1-0 never listened',
      hint: 'Listen on 80.',
    };
    platform.behaviour.logs = [{ line: { replicaId: 'r1-0', stream: 'stdout', text: 'bye\x1b]0;pwned\x07' } }];
    const result = await deployImage();
    expect(result.exitCode).toBe(1);
    // The second deploy is revision 2: what revision 1 printed has no part in its failure.
    expect(result.stderr).toContain(
      'obiente: REPLICA_UNHEALTHY: replica r1-0 never listened\n  r1-0 | bye\n→ Listen on 80.\n',
    );
    const asJson = await deployImage('--json');
    expect(asJson.json()).toEqual({
      error: {
        code: 'REPLICA_UNHEALTHY',
        message: 'replica r1-0 never listened',
        hint: 'Listen on 80.',
      },
    });
  });

  it('says "still running" when Ctrl-C or the timeout ends the wait, and never "failed"', async () => {
    platform.behaviour.hangs = true;
    const interrupt = new AbortController();
    platform.behaviour.beforeMessage = (sequence) => {
      if (sequence === 2) interrupt.abort();
    };
    const args = ['deploy', '--image', 'nginx:1', '--name', 'web'];
    const interrupted = await obiente(args, { signal: interrupt.signal });
    expect(interrupted.exitCode).toBe(130);
    expect(interrupted.stderr).toContain('web: still running');
    const timedOut = await obiente([...args, '--timeout', '50ms']);
    expect(timedOut.exitCode).toBe(75);
    expect(timedOut.stderr).not.toContain('fail');
  });

  it('does not call it a success when the deployment is deleted meanwhile', async () => {
    platform.behaviour.steps = [{ kind: 'replica.placed', message: 'placed' }];
    platform.behaviour.beforeMessage = (sequence) => {
      if (sequence !== 2) return;
      platform.deployments.clear();
      platform.cutConnections();
    };
    const result = await deployImage();
    expect(result).toMatchObject({ exitCode: 1, stdout: '' });
    expect(result.stderr).toContain('CANCELLED: the deployment has been deleted meanwhile');
  });

  it('returns at once with --no-wait and --detach', async () => {
    platform.behaviour.hangs = true;
    expect((await deployImage('--no-wait')).exitCode).toBe(0);
    expect((await deployImage('--detach')).exitCode).toBe(0);
    expect(platform.callsOf('WatchDeployment')).toEqual([]);
  });

  it.each([
    [['--replicas', '10001'], /--replicas/],
    [['--port', '70000'], /--port/],
    [['--env', '1X=y'], /--env/],
    [['--env-file', '/nowhere/.env'], /--env-file: can't read/],
    [['--timeout', 'soon'], /--timeout/],
  ])('refuses %j with 3 before it calls anything', async (more, message) => {
    const result = await deployImage(...more);
    expect(result.exitCode).toBe(3);
    expect(result.stderr).toMatch(message);
    expect(platform.calls).toEqual([]);
  });

  it('refuses a folder without a Dockerfile, and leaves nothing behind', async () => {
    const result = await obiente(['deploy', folder, '--name', 'web']);
    expect(result.exitCode).toBe(3);
    expect(result.stderr).toContain('looked for a Dockerfile');
    expect(platform.callsOf('CreateDeployment')).toEqual([]);
  });
});

describe('other commands', () => {
  it('lists deployments, for people and as JSON', async () => {
    expect((await obiente(['ls'])).stdout).toContain('no deployments yet');
    await deployImage();
    expect((await obiente(['ls'])).stdout).toMatch(/^NAME .*\nweb +running +1 +1 +http:\/\/web\.localhost:8080\n$/);
    expect((await obiente(['ls', '--json'])).json()).toMatchObject([{ name: 'web', revision: 1 }]);
  });

  it('shows one deployment', async () => {
    await deployImage();
    const result = await obiente(['status', 'web']);
    expect(result.stdout).toMatch(/status +running\n/);
    expect(result.stdout).toMatch(/operation +deploy succeeded/);
  });

  it('shows how its replicas crash, and when they are tried again', async () => {
    await deployImage();
    const [deployment] = platform.deployments.values();
    if (!deployment) throw new Error('nothing is deployed');
    const startedAt = timestampFromMs(Date.now() - 600_000);
    const crash = { exitCode: 137, outOfMemory: true, restarts: 6, startedAt };
    const nextRestartAt = timestampFromMs(Date.now() + 3_600_000 - 1);
    deployment.status = DeploymentStatus.DEGRADED;
    deployment.statusReason = '1 of 3 replicas is healthy; r1-1 exited with code 137';
    deployment.replicas = [
      { id: 'r1-0', state: ReplicaState.HEALTHY, startedAt },
      { id: 'r1-1', state: ReplicaState.EXITED, nextRestartAt, ...crash },
      { id: 'r1-2', state: ReplicaState.EXITED, gone: true },
    ].map((replica) => create(ReplicaSchema, { nodeId: 'n1', ...replica }));
    const { stdout } = await obiente(['status', 'web']);
    expect(stdout).toContain('degraded, 1 of 3 replicas is healthy; r1-1 exited with code 137');
    const [heading, ...rows] = stdout.slice(stdout.indexOf('REPLICA')).trimEnd().split('\n');
    expect(heading).toMatch(/STATE .* UP +RESTARTS +LAST EXIT +NEXT TRY$/);
    expect(rows[0]).toMatch(/^r1-0 +healthy .* 10 min +0 +- +-$/);
    expect(rows[1]).toMatch(/^r1-1 +exited .* - +6 +137, out of memory +in 59 min$/);
    expect(rows[2]).toMatch(/^r1-2 +gone .* - +0 +- +-$/);
    const json = (await obiente(['status', 'web', '--json'])).json();
    expect(json).toMatchObject({ replicas: [{ restarts: 0, gone: false }, { restarts: 6 }, { gone: true }] });
  });

  it('reads logs through a broken connection, each line once and none with effect on the terminal', async () => {
    await deployImage();
    platform.behaviour.logs = ['one', 'two\x1b[2J', 'three'].map((text) => ({
      line: { replicaId: 'r1-0', stream: 'stdout', text },
    }));
    let isCut = false;
    platform.behaviour.beforeMessage = (sent) => {
      if (sent !== 3 || isCut) return;
      isCut = true;
      platform.cutConnections();
    };
    const result = await obiente(['logs', 'web', '-f']);
    expect(result.stdout).toBe('r1-0 | one\nr1-0 | two\nr1-0 | three\n');
    const asJson = await obiente(['logs', 'web', '--json']);
    expect(
      asJson.stdout
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line).text),
    ).toEqual(['one', 'two\x1b[2J', 'three']);
  });

  it('reads the log of a build through a broken connection, each line once and none with effect on the terminal', async () => {
    await deployImage();
    platform.behaviour.buildLog = [
      { number: 1n, text: 'Step 1/2 : FROM scratch', revision: 1, service: 'app' },
      { number: 9n, text: '8 lines are left out here', remark: true },
      { number: 10n, text: 'done\x1b[2J', at: timestampFromMs(1_700_000_000_000) },
    ];
    let isCut = false;
    platform.behaviour.beforeMessage = (sent) => {
      if (sent !== 3 || isCut) return;
      isCut = true;
      platform.cutConnections();
    };
    const result = await obiente(['logs', 'web', '--build', '--revision', '1', '-f']);
    expect(result.stdout).toBe('Step 1/2 : FROM scratch\n[8 lines are left out here]\ndone\n');
    const [first] = platform.callsOf('StreamBuildLogs');
    expect(first).toMatchObject({ request: { revision: 1, service: '', follow: true, after: 0n } });
    const asJson = await obiente(['logs', 'web', '--build', '--json']);
    expect(JSON.parse(asJson.stdout.split('\n')[1] ?? '')).toMatchObject({ number: '9', remark: true });
    expect((await obiente(['logs', 'web', '--build', '-t'])).stdout).toContain('2023-11-14T22:13:20.000Z done');
    expect(await obiente(['logs', 'web', '--revision', '1'])).toMatchObject({ exitCode: 3 });
  });

  it('prints what replicas had printed when they were given up, the newest last', async () => {
    await deployImage();
    const none = await obiente(['logs', 'web', '--failed']);
    expect(none).toMatchObject({ exitCode: 0, stdout: '' });
    expect(none.stderr).toContain('no log of a failed replica is kept');
    const failedAt = timestampFromMs(1_700_000_000_000);
    platform.behaviour.failureLogs = [
      { operationId: 'op-2', replicaId: 'r2-0', failedAt, lines: [{ replicaId: 'r2-0', text: 'new\x1b[2J' }] },
      { operationId: 'op-1', replicaId: 'r1-0', shortened: true, lines: [{ replicaId: 'r1-0', text: 'old' }] },
    ];
    expect((await obiente(['logs', 'web', '--failed'])).stdout).toBe(
      [
        '[r1-0 was given up, operation op-1; lines before these are not kept]\nr1-0 | old\n',
        '[r2-0 was given up at 2023-11-14T22:13:20.000Z, operation op-2]\nr2-0 | new\n',
      ].join(''),
    );
    const asJson = await obiente(['logs', 'web', '--failed', '--replica', 'r2-0', '--json']);
    expect(JSON.parse(asJson.stdout)).toMatchObject({ operationId: 'op-2', replicaId: 'r2-0' });
    expect(await obiente(['logs', 'web', '--failed', '-f'])).toMatchObject({ exitCode: 3 });
  });

  it('says that a revision was not built', async () => {
    await deployImage();
    expect(await obiente(['logs', 'web', '--build'])).toMatchObject({ exitCode: 4, stdout: '' });
  });

  it('writes metrics as a line a sample where there is no terminal', async () => {
    await deployImage();
    platform.behaviour.samples = [{ replicaId: 'r1-0', cpuPercent: 49.96, memoryBytes: 1_048_576n }];
    expect((await obiente(['metrics', 'web'])).stdout).toMatch(/^- {2}r1-0 {2}cpu 50\.0 % {2}memory 1\.0 MiB .*\n$/);
    expect((await obiente(['metrics', 'web', '--once', '--json'])).json()).toMatchObject([{ replicaId: 'r1-0' }]);
  });

  it('shows the course of metrics as charts with gaps, as CSV and as JSON', async () => {
    await deployImage();
    const at = (minute: number) => timestampFromMs(Date.UTC(2027, 0, 15, 8, minute));
    platform.behaviour.course = {
      ...{ resolution: MetricsResolution.MINUTE, stepMs: 60_000n, start: at(0), end: at(3) },
      series: [
        {
          points: [
            { at: at(0), replicas: 1, cpuPercent: 25, memoryBytes: 1_048_576, observed: 1 },
            { at: at(1), replicas: 0 },
            { at: at(2), replicas: 1, cpuPercent: 50, memoryBytes: 2_097_152, observed: 0.5 },
          ],
          percentiles: [{ percentile: 95, cpuPercent: 50, memoryBytes: 2_097_152 }],
        },
      ],
      requests: [{ at: at(0), requests: 120n, status5xx: 1n, latencyP95Ms: 40 }, { at: at(1) }, { at: at(2) }],
    };
    const asked = ['metrics', 'web', '--since', '14d', '--percentiles', '95'];
    const shown = (await obiente(asked)).stdout;
    expect(shown).toMatch(/^CPU\n +50 % ┤ {2}█\n(.*\n)*? *0\.0 % ┼─ ─\n +08:00:00 08:03:00\n/);
    expect(shown).toContain('percentiles: p95 cpu 50 %, memory 2.0 MiB');
    expect(shown).toContain('steps of 1 min (resolution minute)');
    const csv = (await obiente([...asked, '--csv'])).stdout.split('\n');
    expect(csv[0]).toMatch(/^at,replica,replicas,cpu_percent,.*,latency_p99_ms$/);
    expect(csv[1]).toMatch(/^2027-01-15T08:00:00\.000Z,,1,25,,1048576,.*,120,.*,40,$/);
    expect(csv[2]).toMatch(/^2027-01-15T08:01:00\.000Z,+$/);
    expect((await obiente([...asked, '--json'])).json()).toMatchObject({ resolution: 'METRICS_RESOLUTION_MINUTE' });
    expect(await obiente(['metrics', 'web', '--csv'])).toMatchObject({ exitCode: 3 });
    expect(await obiente([...asked, '--aggregate', 'mean'])).toMatchObject({ exitCode: 3 });
    expect(await obiente(['metrics', 'web', '--since', '1h', '--percentiles', '101'])).toMatchObject({ exitCode: 3 });
  });

  it('removes a deployment and waits until it is gone', async () => {
    await deployImage();
    const result = await obiente(['rm', 'web']);
    expect(result).toMatchObject({ exitCode: 0, stdout: 'deleted web\n' });
    expect(platform.deployments.size).toBe(0);
  });

  it('reads lists to their last page', async () => {
    const result = await obiente(['nodes', '--json']);
    expect(result.json()).toMatchObject([{ id: 'n1' }, { id: 'n2' }]);
    expect((await obiente(['nodes'])).stdout).toMatch(/n1 +host +ready/);
    expect((await obiente(['routes'])).stdout).toBe('no routes yet\n');
    expect((await obiente(['orgs'])).stdout).toContain('personal');
    expect((await obiente(['whoami'])).stdout).toContain('dev@localhost');
  });

  it('creates and lists projects', async () => {
    expect((await obiente(['projects', 'create', 'shop'])).stdout).toBe('created project shop\n');
    expect((await obiente(['projects'])).stdout).toContain('shop');
  });
});

describe('obiente api', () => {
  it('calls any method, with the request as argument or from standard input', async () => {
    const request = JSON.stringify({ organizationId: '11111111-1111-4111-8111-111111111111', name: 'none' });
    const typed = await obiente(['api', 'DeploymentsService/ListDeployments', request]);
    const piped = await obiente(['api', 'obiente.cloud.v1.DeploymentsService/ListDeployments', '-'], {
      stdin: request,
    });
    expect(typed.json()).toEqual({ deployments: [] });
    expect(piped.stdout).toBe(typed.stdout);
  });

  it('writes a stream as one JSON document a line', async () => {
    await deployImage();
    const [id] = platform.deployments.keys();
    const result = await obiente(['api', 'DeploymentsService/WatchDeployment', JSON.stringify({ deploymentId: id })]);
    const messages = result.stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(messages.map(({ event }) => event.kind)).toEqual(['replica.healthy', 'operation.succeeded']);
  });

  it('uploads messages from standard input, one a line', async () => {
    const lines = ['{"header":{"organizationId":"11111111-1111-4111-8111-111111111111"}}', '{"chunk":"aGVsbG8="}', ''];
    const result = await obiente(['api', 'SourcesService/UploadContext', '-'], { stdin: lines.join('\n') });
    expect(JSON.parse(result.stdout)).toMatchObject({ sizeBytes: '5' });
  });

  it.each([
    [['Nothing/Here'], /there is no service/],
    [['NodesService/Explode'], /has no method.*\n→ Call one of NodesService\/GetNode/],
    [['NodesService/ListNodes', '{'], /is no JSON/],
    [['NodesService/ListNodes', '{"size":1}'], /json: .*size/],
  ])('refuses %j', async (args, message) => {
    const result = await obiente(['api', ...args]);
    expect(result.exitCode).toBe(3);
    expect(result.stderr).toMatch(message);
  });
});

describe('exit codes', () => {
  it('are 4 for what does not exist, by name and by id, with the hint', async () => {
    const byName = await obiente(['status', 'nothing']);
    expect(byName).toMatchObject({ exitCode: 4, stderr: expect.stringContaining('→ Run "obiente ls"') });
    const byId = await obiente(['status', '99999999-9999-4999-8999-999999999999', '--json']);
    expect(byId.exitCode).toBe(4);
    expect(byId.json()).toEqual({ error: { code: 'NOT_FOUND', message: 'deployment not found', hint: 'Look again.' } });
  });

  it('are 5 for a token that is not valid', async () => {
    const result = await obiente(['ls'], { env: { OBIENTE_TOKEN: 'foreign' } });
    expect(result).toMatchObject({ exitCode: 5, stderr: expect.stringContaining('obiente login') });
  });

  it('are 69 when nobody answers', async () => {
    await platform.stop();
    const result = await obiente(['ls']);
    expect(result).toMatchObject({ exitCode: 69, stderr: expect.stringContaining('npm start') });
    platform = await startFakePlatform();
  }, 20_000);

  it('are 2 for wrong usage, and 0 for help', async () => {
    expect((await obiente(['lst'])).exitCode).toBe(2);
    expect((await obiente(['ls', '--nothing'])).exitCode).toBe(2);
    expect((await obiente(['status'])).exitCode).toBe(2);
    const misspelt = await obiente(['--json', 'lst']);
    expect(misspelt.json()).toMatchObject({ error: { code: 'USAGE', message: expect.stringContaining("'lst'") } });
    expect(await obiente(['--version'])).toMatchObject({
      exitCode: 0,
      stdout: expect.stringMatching(/^\d+\.\d+\.\d+\n$/),
    });
    expect((await obiente(['--help'])).exitCode).toBe(0);
    expect((await obiente(['deploy', '--help'])).stdout).toContain('--health-path');
  });
});
