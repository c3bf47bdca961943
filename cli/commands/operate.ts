import type { Command } from 'commander';
import { action, type CliContext } from '../invocation.ts';
import { type OperationOptions, operate, withOperationOptions } from '../operation-options.ts';
import { parseWhole } from '../quantities.ts';

/** Adds `obiente scale`, `restart`, `stop`, `start`, `move` and `rollback`. */
export function addOperate(program: Command, context: CliContext): void {
  withOperationOptions(
    program
      .command('scale')
      .description('change how many replicas run')
      .argument('<name>', 'name or id of the deployment')
      .argument('<replicas>', 'how many')
      .option('--service <service>', 'which service of it'),
  ).action(
    action<OperationOptions & { service?: string }, [string, string]>(
      context,
      async (invocation, options, name, text) => {
        const replicas = parseWhole('replicas', text, { min: 0, max: 10_000 });
        const done = (what: string): string =>
          `${what} runs with ${replicas} ${replicas === 1 ? 'replica' : 'replicas'}`;
        await operate(invocation, { options, name, done }, async (api, asked) => {
          const service = options.service ?? '';
          return (await api.deployments.scaleDeployment({ ...asked, service, replicas })).operation;
        });
      },
    ),
  );
  addPlain(program, context, {
    command: 'restart',
    description: 'replace every replica by a fresh one of the same revision',
    done: (name) => `restarted ${name}`,
    method: 'restartDeployment',
  });
  addPlain(program, context, {
    command: 'stop',
    description: 'take all replicas away, and remember what ran',
    done: (name) => `stopped ${name}`,
    method: 'stopDeployment',
  });
  addPlain(program, context, {
    command: 'start',
    description: 'bring back what was stopped',
    done: (name) => `started ${name}`,
    method: 'startDeployment',
  });
  withOperationOptions(
    program
      .command('move')
      .description('replace what runs on other nodes by replicas on one; volumes go along')
      .argument('<name>', 'name or id of the deployment')
      .requiredOption('--to <node>', 'id of the node that shall take it'),
  ).action(
    action<OperationOptions & { to: string }, [string]>(context, async (invocation, options, name) => {
      const done = (what: string): string => `moved ${what} to ${options.to}`;
      await operate(invocation, { options, name, done }, async (api, asked) => {
        return (await api.deployments.moveDeployment({ ...asked, toNodeId: options.to })).operation;
      });
    }),
  );
  withOperationOptions(
    program
      .command('rollback')
      .description('return to an earlier revision, by the very images that it ran')
      .argument('<name>', 'name or id of the deployment')
      .argument('[revision]', 'which one (default: the one before the present one)'),
  ).action(
    action<OperationOptions, [string, string | undefined]>(context, async (invocation, options, name, text) => {
      const toRevision = text === undefined ? 0 : parseWhole('revision', text, { min: 1, max: 2_147_483_647 });
      const done = (what: string): string => `rolled ${what} back`;
      await operate(invocation, { options, name, done }, async (api, asked) => {
        return (await api.deployments.rollbackDeployment({ ...asked, toRevision })).operation;
      });
    }),
  );
}

interface PlainCommand {
  readonly command: string;
  readonly description: string;
  readonly done: (name: string) => string;
  readonly method: 'restartDeployment' | 'stopDeployment' | 'startDeployment';
}

function addPlain(program: Command, context: CliContext, { command, description, done, method }: PlainCommand): void {
  const added = program.command(command).description(description).argument('<name>', 'name or id of the deployment');
  withOperationOptions(added).action(
    action<OperationOptions, [string]>(context, async (invocation, options, name) => {
      await operate(invocation, { options, name, done }, async (api, asked) => {
        return (await api.deployments[method](asked)).operation;
      });
    }),
  );
}
