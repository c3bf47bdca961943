import { randomUUID } from 'node:crypto';
import { readFile, stat } from 'node:fs/promises';
import { resolve } from 'node:path';
import { Code, ConnectError } from '@connectrpc/connect';
import { type Deployment, DeploymentSchema } from '../gen/obiente/cloud/v1/deployments_pb.ts';
import { APP_FILE, type AppFile, readAppFile } from './app-file.ts';
import type { Api } from './client.ts';
import { uploadComposeSource } from './compose-source.ts';
import { type DeployCommandOptions, readWishes, type Wishes } from './deploy-options.ts';
import { refuse } from './failures.ts';
import { type FoundSource, findSource } from './find-source.ts';
import type { Invocation } from './invocation.ts';
import { createProgress, type Progress } from './progress.ts';
import { parseDuration, showBytes } from './quantities.ts';
import { DEFAULT_PROJECT, ensureProject, findDeployment, getOrganization } from './resolve.ts';
import { messageJson } from './show.ts';
import { uploadContext } from './upload-context.ts';
import { waitForDeploy } from './wait-for-deploy.ts';
import { type WantedSource, wantedSpec } from './wanted-spec.ts';

/** Appended to the key of an update whose caller could not know whether it would be a creation. */
const UPDATE_KEY_SUFFIX = '.update';

/** Carries `obiente deploy` out: reads what is wanted, uploads it, asks for it, and watches it come up. */
export async function deploy(invocation: Invocation, options: DeployCommandOptions, dir?: string): Promise<void> {
  const { context, terminal, openApi, organization, signal } = invocation;
  const folder = resolve(context.cwd, dir ?? '.');
  const app = await readApp(folder, dir, options);
  const wishes = readWishes({ options, app, envFiles: await readEnvFiles(context.cwd, options), env: context.env });
  const timeoutMs = options.timeout === undefined ? undefined : parseDuration('--timeout', options.timeout);
  checkKey(options.idempotencyKey);

  const progress = createProgress(terminal, context.stderr);
  try {
    const found = await findSource({ folder, cwd: context.cwd, wishes, env: context.env, options });
    if (found.reason !== '') progress.done(`found ${found.reason}`);
    const name = wishes.name === undefined ? found.name : checkName(wishes.name);
    const api = await openApi();
    const { id: organizationId } = await getOrganization(api, organization);
    const { id: projectId } = await ensureProject(api, organizationId, wishes.project ?? DEFAULT_PROJECT);
    const source = await makeSource(api, { found, wishes, organizationId, progress, signal });
    progress.doing(`asking for ${name}`);
    const place = { organizationId, projectId, name };
    const deployment = await ask(api, { place, source, wishes, options });
    const ended =
      options.wait && options.detach !== true
        ? await waitForDeploy({ api, deployment, progress, signal, timeoutMs })
        : deployment;
    for (const warning of warningsOf(ended)) progress.warn(warning);
    progress.stop();
    terminal.document({ ...(messageJson(DeploymentSchema, ended) as object), url: ended.urls[0] ?? null });
    for (const url of ended.urls) terminal.line(url);
    if (ended.urls.length === 0) terminal.line(`${name} has no address, since it has no port`);
  } finally {
    progress.stop();
  }
}

interface Request {
  readonly place: { organizationId: string; projectId: string; name: string };
  readonly source: WantedSource;
  readonly wishes: Wishes;
  readonly options: DeployCommandOptions;
}

/**
 * Creates the deployment, or updates the one of that name.
 *
 * With the caller's own key it tries to create first: a repetition must reach the same operation, and after a lost
 * answer the name exists because of the first attempt.
 */
async function ask(api: Api, request: Request): Promise<Deployment> {
  const { place, options } = request;
  const key = options.idempotencyKey;
  if (key === undefined) {
    const present = await findDeployment(api, place);
    return present === undefined
      ? await create(api, request, randomUUID())
      : await update(api, request, present, randomUUID());
  }
  try {
    return await create(api, request, key);
  } catch (error) {
    if (!(error instanceof ConnectError) || error.code !== Code.AlreadyExists) throw error;
    const present = await findDeployment(api, place);
    if (present === undefined) throw error;
    return await update(api, request, present, `${key}${UPDATE_KEY_SUFFIX}`);
  }
}

async function create(
  api: Api,
  { place, source, wishes, options }: Request,
  idempotencyKey: string,
): Promise<Deployment> {
  const { projectId, name } = place;
  const spec = wantedSpec({ present: undefined, source, wishes });
  const reason = options.reason ?? '';
  const creation = { idempotencyKey, projectId, name, spec, reason };
  return required((await api.deployments.createDeployment(creation)).deployment);
}

async function update(api: Api, request: Request, present: Deployment, idempotencyKey: string): Promise<Deployment> {
  const { source, wishes, options } = request;
  const spec = wantedSpec({ present: options.replace === true ? undefined : present.spec, source, wishes });
  const { reason = '', supersede: supersedeRunning = false } = options;
  const change = { idempotencyKey, deploymentId: present.id, spec, reason, supersedeRunning };
  return required((await api.deployments.updateDeployment(change)).deployment);
}

function required(deployment: Deployment | undefined): Deployment {
  if (deployment !== undefined) return deployment;
  throw new ConnectError('the API answered without a deployment', Code.Internal);
}

async function makeSource(
  api: Api,
  input: { found: FoundSource; wishes: Wishes; organizationId: string; progress: Progress; signal: AbortSignal },
): Promise<WantedSource> {
  const { found, wishes, organizationId, progress, signal } = input;
  if (found.kind === 'image') return { kind: 'image', reference: found.reference };
  if (found.kind === 'git') return { kind: 'git', ...found.git, ...filesOf(wishes) };
  if (found.kind === 'compose') return await uploadComposeSource(api, found.file, { organizationId, progress, signal });
  const { folder } = found;
  if (found.kind === 'page' || found.kind === 'application') {
    progress.doing(`uploading ${folder}`);
    const { sha256, bytes, files } = await uploadContext(api, { folder, organizationId, signal });
    progress.done(`uploaded ${files} files, ${showBytes(bytes)}`);
    return { kind: found.kind, sha256 };
  }
  progress.doing(`uploading ${folder}`);
  const dockerfile = wishes.dockerfile ?? 'Dockerfile';
  const { sha256, bytes, files } = await uploadContext(api, { folder, dockerfile, organizationId, signal });
  progress.done(`uploaded ${files} files, ${showBytes(bytes)}`);
  return { kind: 'context', sha256, dockerfile: wishes.dockerfile ?? '' };
}

/** Which file of a repository counts; none: what there is. */
function filesOf({ dockerfile = '', compose, builder }: Wishes) {
  const by = builder === undefined || builder === 'compose' ? {} : { builder };
  return { dockerfile, ...by, ...(compose === undefined ? {} : { compose: compose === true ? '' : compose }) };
}

function warningsOf({ spec }: Deployment): readonly string[] {
  return spec?.source.case === 'compose' ? spec.source.value.warnings : [];
}

async function readApp(folder: string, dir: string | undefined, options: DeployCommandOptions): Promise<AppFile> {
  if ((options.image !== undefined || options.git !== undefined) && dir === undefined) return {};
  const found = await stat(folder).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  });
  if (!found?.isDirectory()) throw refuse('dir', `${folder} is no folder`);
  const app = await readAppFile(folder);
  if (app.image !== undefined && app.dockerfile !== undefined) {
    throw refuse(APP_FILE, 'image and dockerfile exclude each other');
  }
  return app;
}

async function readEnvFiles(cwd: string, { envFile = [] }: DeployCommandOptions): Promise<readonly string[]> {
  return await Promise.all(
    envFile.map(async (file) => {
      try {
        return await readFile(resolve(cwd, file), 'utf8');
      } catch (error) {
        throw refuse('--env-file', `can't read ${file} (${(error as NodeJS.ErrnoException).code ?? 'unknown error'})`);
      }
    }),
  );
}

/** What the API would refuse is refused before anything is uploaded. */
function checkName(name: string): string {
  if (name.length >= 2 && name.length <= 63 && /^[a-z]([a-z0-9-]*[a-z0-9])$/.test(name)) return name;
  const allowed = '2 to 63 lower-case letters, digits and hyphens, a letter first, no hyphen last';
  throw refuse('name', `"${name.slice(0, 80)}" is not allowed; allowed are ${allowed}`);
}

/** Shorter than what the API takes, since an update's key is longer by its suffix. */
function checkKey(key: string | undefined): void {
  if (key === undefined || /^[A-Za-z0-9._:-]{8,121}$/.test(key)) return;
  throw refuse(
    '--idempotency-key',
    `"${key.slice(0, 80)}" is not allowed; allowed are 8 to 121 letters, digits and . _ : -`,
  );
}
