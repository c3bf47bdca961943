import { posix } from 'node:path';
import { parseEnv } from 'node:util';
import type { MessageInitShape } from '@bufbuild/protobuf';
import { parseCompose } from '../../adapters/compose/parse-compose.ts';
import {
  findOpenReading,
  findReadBefore,
  keepFile,
  type OpenReading,
} from '../../adapters/postgres/source-readings.ts';
import type { ComposeApplication } from '../../domain/compose/application.ts';
import { toComposeInput } from '../../domain/compose/to-spec.ts';
import { leftOutFor, originOf, repositoryOfSpec } from '../../domain/compose-origin.ts';
import { isDomainError, notFound, RETRYABLE } from '../../domain/errors.ts';
import { ANYWHERE } from '../../domain/placement/policy.ts';
import {
  type ComposeInput,
  type ComposeSpec,
  type DeploymentSpec,
  isCompose,
  ONLY_SERVICE,
} from '../../domain/spec.ts';
import type {
  ComposeBuildSchema,
  ReportComposeFileRequest,
  ReportComposeFileResponseSchema,
} from '../../gen/obiente/internal/v1/control_pb.ts';
import { variablePlace } from '../secret-places.ts';
import { toStoredSpec, type WantedSpecDeps } from '../wanted-spec.ts';

/** What taking a file needs. */
export type ComposeFileDeps = WantedSpecDeps;

type Report = Pick<
  ReportComposeFileRequest,
  'deploymentId' | 'revision' | 'path' | 'file' | 'environmentFile' | 'contexts' | 'complete'
> & { readonly nodeId: string };

type Answer = MessageInitShape<typeof ReportComposeFileResponseSchema>;

/** How much of a commit id people need to see. */
const SHOWN_DIGITS = 12;

/**
 * Takes the Compose file that a node found in a commit: makes services of it by the rules for files that are uploaded,
 * seals their variables, and keeps them for the workflow. Neither the file nor a value of it is stored anywhere else.
 *
 * What is wrong with the file is an answer and no error, for the node did what it should.
 *
 * @throws NOT_FOUND when the calling node does not read that source just now.
 */
export async function takeComposeFile(deps: ComposeFileDeps, report: Report): Promise<Answer> {
  const { deploymentId, revision, nodeId, path } = report;
  const reading = await findOpenReading(deps.db, { deploymentId, revision, nodeId });
  if (!reading?.commit) throw notFound('source');
  const { organizationId, commit } = reading;
  const variables = { ...parseEnv(report.environmentFile), ...(await openVariables(deps, deploymentId, reading)) };
  try {
    const application = parseCompose(report.file, { variables: defined(variables), registries: deps.registries });
    if (!report.complete) return { builds: buildsOf(application, path) };
    const input = inputOf(application, reading, { path, commit, contexts: report.contexts });
    const present = await findReadBefore(deps.db, { deploymentId, revision });
    const spec = await toStoredSpec(deps, { organizationId, deploymentId, spec: input, present });
    await keepFile(deps.db, { deploymentId, revision, nodeId, spec: spec as ComposeSpec });
    return {};
  } catch (error) {
    if (!isDomainError(error) || RETRYABLE[error.code]) throw error;
    const refusal = `${path} of commit ${commit.slice(0, SHOWN_DIGITS)}: ${error.message}`;
    return { refusalCode: error.code, refusal, hint: error.hint ?? 'Correct the file, push, and deploy again.' };
  }
}

async function openVariables(
  { sealing }: ComposeFileDeps,
  deploymentId: string,
  { organizationId, spec }: OpenReading,
) {
  const place = { organizationId, deploymentId: deploymentId.toLowerCase(), service: ONLY_SERVICE };
  const opened = variablesOf(spec).map(async ({ name, version, sealed }) => {
    const at = variablePlace({ ...place, isBuildArgument: false }, { name });
    return [name, await sealing.open({ ...at, version, sealed })] as const;
  });
  return Object.fromEntries(await Promise.all(opened));
}

function variablesOf(spec: DeploymentSpec) {
  return isCompose(spec) ? (originOf(spec)?.variables ?? []) : spec.environment;
}

function defined(variables: Readonly<Record<string, string | undefined>>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(variables).flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])),
  );
}

/** The folders of services, from the folder of the source on. */
function buildsOf({ services }: ComposeApplication, path: string): MessageInitShape<typeof ComposeBuildSchema>[] {
  return services.flatMap(({ name: service, source }) => {
    if (source.kind !== 'build') return [];
    return [{ service, folder: inner(folderOf(path), source.context), dockerfilePath: source.dockerfile }];
  });
}

function inputOf(
  application: ComposeApplication,
  { spec }: OpenReading,
  of: { readonly path: string; readonly commit: string; readonly contexts: Readonly<Record<string, string>> },
): ComposeInput {
  const repository = repositoryOfSpec(spec);
  if (!repository) throw notFound('source');
  const { url, submodules, subdirectory } = repository;
  const { rollout, placement = ANYWHERE } = spec;
  const commit = { url, submodules, commit: of.commit, folder: inner(subdirectory, folderOf(of.path)) };
  const input = toComposeInput(application, { commit, contexts: of.contexts, rollout, placement });
  return { ...input, warnings: [...leftOutFor(spec, of.path), ...input.warnings] };
}

function folderOf(path: string): string {
  const folder = posix.dirname(path);
  return folder === '.' ? '' : folder;
}

function inner(folder: string, path: string): string {
  return [folder, path].filter((part) => part !== '').join('/');
}
