import type { Command } from 'commander';
import type { DeploymentSpec } from '../../gen/obiente/cloud/v1/spec_pb.ts';
import { action, type CliContext } from '../invocation.ts';
import { type OperationOptions, operate, withWaitOptions } from '../operation-options.ts';

/** Names of the volumes that a spec mounts. */
function volumesOf(spec: DeploymentSpec | undefined): readonly string[] {
  const services = spec?.source.case === 'compose' ? spec.source.value.services : [];
  const mounts = [...(spec?.volumes ?? []), ...services.flatMap((service) => service.volumes)];
  return [...new Set(mounts.map(({ volume }) => volume))].sort();
}

/** Adds `obiente rm`. */
export function addRemove(program: Command, context: CliContext): void {
  withWaitOptions(
    program
      .command('rm')
      .alias('remove')
      .description('delete a deployment with its replicas, networks, own images and routes; its volumes stay')
      .argument('<name>', 'name or id of the deployment')
      .option('--project <name>', 'the project that it belongs to')
      .option('-m, --reason <text>', 'why, for the history'),
  ).action(
    action<OperationOptions, [string]>(context, async (invocation, options, name) => {
      let volumes: readonly string[] = [];
      const done = (what: string): string =>
        volumes.length === 0 ? `deleted ${what}` : `deleted ${what}; its volumes stay: ${volumes.join(', ')}`;
      await operate(invocation, { options, name, done }, async (api, { supersedeRunning: _, ...asked }) => {
        const { deployment } = await api.deployments.getDeployment({ deploymentId: asked.deploymentId });
        volumes = volumesOf(deployment?.spec);
        return (await api.deployments.deleteDeployment(asked)).operation;
      });
    }),
  );
}
