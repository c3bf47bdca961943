import { create } from '@bufbuild/protobuf';
import { FieldMaskSchema } from '@bufbuild/protobuf/wkt';
import type { Command } from 'commander';
import { type DeploymentSpec, DeploymentSpecSchema, type ResourceLimits } from '../../gen/obiente/cloud/v1/spec_pb.ts';
import { type DeployOptions, readWishes } from '../deploy-options.ts';
import { refuse } from '../failures.ts';
import { action, type CliContext } from '../invocation.ts';
import { type OperationOptions, operate, withOperationOptions } from '../operation-options.ts';
import { withPlacementOptions } from '../placement-options.ts';
import { applyWishes, wantedSource } from '../wanted-spec.ts';

type UpdateOptions = OperationOptions & Omit<DeployOptions, 'name'> & { readonly service?: string };

const collect = (value: string, all: readonly string[] = []): readonly string[] => [...all, value];

/** Adds `obiente update`: settings of a deployment, without touching its source. */
export function addUpdate(program: Command, context: CliContext): void {
  const command = withPlacementOptions(
    program
      .command('update')
      .description('change settings of a deployment; whatever is not named stays, also what others change meanwhile')
      .argument('<name>', 'name or id of the deployment')
      .option('--service <service>', 'which service of it, where there are several')
      .option('--image <reference>', 'another image')
      .option('--pull <policy>', 'with --image: ask the registry for it always, if-not-present, or auto by its tag')
      .option('--replicas <count>', 'how many copies run')
      .option('--port <port>', 'port that the application listens on')
      .option('--no-port', 'take the port and with it the address away')
      .option('-e, --env <name=value>', 'set a variable; without =value, to your own (repeatable)', collect)
      .option('--unset-env <name>', 'remove a variable (repeatable)', collect)
      .option('--health-path <path>', 'healthy when an HTTP GET of this path succeeds')
      .option('--health-status <status>', 'the only status that counts as success')
      .option('--health-command <command>', 'healthy when this shell command in the container succeeds')
      .option('--no-health', 'healthy as soon as it runs')
      .option('--cpu <cores>', 'limit of CPU, for example 0.5')
      .option('--memory <size>', 'limit of memory, for example 256MiB')
      .option('--restart <policy>', 'always, on-failure or never')
      .option('-v, --volume <name:/path>', 'mount a volume of the project, with :ro to read only (repeatable)', collect)
      .option('--no-volume', 'mount none any more; their data stays')
      .option('--command <word...>', 'command in place of the image’s, word by word'),
  );
  withOperationOptions(command).action(
    action<UpdateOptions, [string]>(context, async (invocation, options, name) => {
      const wishes = readWishes({ options, app: {}, envFiles: [], env: context.env });
      const done = (what: string): string => `updated ${what}`;
      await operate(invocation, { options, name, done }, async (api, asked) => {
        const { deployment } = await api.deployments.getDeployment({ deploymentId: asked.deploymentId });
        const limits = limitsOf(deployment?.spec, options.service);
        const placement = deployment?.spec?.placement;
        const spec = create(DeploymentSpecSchema, {
          ...(limits ? { limits } : {}),
          ...(placement ? { placement } : {}),
        });
        const paths = applyWishes(spec, wishes);
        if (wishes.image !== undefined) {
          spec.source = wantedSource(deployment?.spec, { kind: 'image', reference: wishes.image }, wishes);
          paths.push('source');
        }
        if (paths.length + wishes.variables.size + wishes.unset.size === 0) {
          throw refuse(
            'update',
            'there is nothing to change',
            'Name at least one setting; "obiente update --help" lists them.',
          );
        }
        const changed = await api.deployments.updateDeployment({
          ...asked,
          service: options.service ?? '',
          ...(paths.length > 0 ? { spec, updateMask: create(FieldMaskSchema, { paths }) } : {}),
          setEnvironment: [...wishes.variables].map(([variable, value]) => ({ name: variable, value })),
          unsetEnvironment: [...wishes.unset],
        });
        return changed.deployment?.operation;
      });
    }),
  );
}

/** One of the two limits may be changed alone. */
function limitsOf(spec: DeploymentSpec | undefined, service: string | undefined): ResourceLimits | undefined {
  if (spec?.source.case !== 'compose') return spec?.limits;
  return spec.source.value.services.find(({ name }) => name === service)?.limits;
}
