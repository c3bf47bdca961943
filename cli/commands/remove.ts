import type { Command } from 'commander';
import { action, type CliContext } from '../invocation.ts';
import { type OperationOptions, operate, withWaitOptions } from '../operation-options.ts';

/** Adds `obiente rm`. */
export function addRemove(program: Command, context: CliContext): void {
  withWaitOptions(
    program
      .command('rm')
      .alias('remove')
      .description('delete a deployment with its replicas, networks, own images and routes')
      .argument('<name>', 'name or id of the deployment')
      .option('--project <name>', 'the project that it belongs to')
      .option('-m, --reason <text>', 'why, for the history'),
  ).action(
    action<OperationOptions, [string]>(context, async (invocation, options, name) => {
      const done = (what: string): string => `deleted ${what}`;
      await operate(invocation, { options, name, done }, async (api, { supersedeRunning: _, ...asked }) => {
        return (await api.deployments.deleteDeployment(asked)).operation;
      });
    }),
  );
}
