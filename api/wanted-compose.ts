import { parseCompose } from '../adapters/compose/parse-compose.ts';
import { toComposeInput } from '../domain/compose/to-spec.ts';
import { invalidArgument } from '../domain/errors.ts';
import type { RegistryRules } from '../domain/image-reference.ts';
import { parsePlacementPolicy } from '../domain/placement/policy.ts';
import { parseRolloutPolicy } from '../domain/rollout-policy.ts';
import type { ComposeInput } from '../domain/spec.ts';
import type { ComposeSource, DeploymentSpec as WireSpec } from '../gen/obiente/cloud/v1/spec_pb.ts';
import { fromWirePlacement } from './wire/placement.ts';
import { fromWireRollout } from './wire/rollout.ts';

/**
 * Reads the Compose file of a spec.
 *
 * @throws INVALID_ARGUMENT with a path into the file, or the field of the spec that may not stand beside it.
 */
export function readCompose(
  spec: WireSpec,
  { file, variables, contexts }: ComposeSource,
  registries: RegistryRules,
): ComposeInput {
  checkBeside(besides(spec), 'rollout and placement');
  if (file.trim() === '') throw invalidArgument('spec.compose.file', 'is empty', 'the text of a Compose file');
  const rollout = parseRolloutPolicy('spec.rollout', fromWireRollout(spec.rollout));
  const placement = parsePlacementPolicy('spec.placement', fromWirePlacement(spec.placement));
  return toComposeInput(parseCompose(file, { variables, registries }), { contexts, rollout, placement });
}

/** Checks what stands beside a Compose file of a repository: variables are its own. @throws INVALID_ARGUMENT */
export function checkBesideFile(spec: WireSpec): void {
  checkBeside(
    besides(spec).filter((name) => name !== 'environment'),
    'environment, rollout and placement',
  );
}

function checkBeside([field]: readonly string[], allowed: string): void {
  if (field === undefined) return;
  const finding = 'is set beside a Compose file';
  throw invalidArgument(`spec.${field}`, finding, `nothing but ${allowed}; the file says the rest`);
}

function besides(spec: WireSpec): readonly string[] {
  const { replicas, port, environment, healthCheck, limits, restartPolicy, command, volumes } = spec;
  const set = {
    ...{ replicas: replicas !== undefined, port: port !== undefined, environment: environment.length > 0 },
    ...{ health_check: healthCheck !== undefined, limits: limits !== undefined },
    ...{ restart_policy: restartPolicy !== 0, command: command.length > 0, volumes: volumes.length > 0 },
  };
  return Object.entries(set).flatMap(([name, isSet]) => (isSet ? [name] : []));
}
