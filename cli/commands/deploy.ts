import type { Command } from 'commander';
import { deploy } from '../deploy.ts';
import type { DeployCommandOptions } from '../deploy-options.ts';
import { action, type CliContext } from '../invocation.ts';
import { withPlacementOptions } from '../placement-options.ts';

const collect = (value: string, all: readonly string[] = []): readonly string[] => [...all, value];

/** Adds `obiente deploy`. */
export function addDeploy(program: Command, context: CliContext): void {
  const command = program
    .command('deploy')
    .description(
      'deploy a folder with a Dockerfile, a page, a Compose file or an application, a Git repository, or an image; updates the deployment of that name',
    )
    .argument('[dir]', 'folder with a Dockerfile or Compose file, and perhaps an obiente.yaml (default: this one)')
    .option('--image <reference>', 'an image instead of a folder')
    .option('--pull <policy>', 'ask the registry for the image: always, if-not-present, or auto by its tag')
    .option('--git <url>', 'a Git repository instead of a folder, fetched and built on a node')
    .option('--ref <name>', 'branch, tag or whole commit id of the repository (default: its default branch)')
    .option('--subdirectory <path>', 'folder of the repository that is built')
    .option('--submodules', 'fetch the submodules of the repository too')
    .option(
      '-f, --compose [file]',
      'the services of a Compose file, all new or all old (default: the folder’s); with --git, of one in the repository',
    )
    .option('--dockerfile <path>', 'path of the Dockerfile within the folder, or that of the repository')
    .option(
      '--builder <name>',
      'how it is built: dockerfile, static, compose or nixpacks (default: the first of these that the folder is for)',
    )
    .option('--name <name>', 'name of the deployment (default: name of the folder or image)')
    .option('--project <name>', 'project that it belongs to (default: "default")')
    .option('--replicas <count>', 'how many copies run')
    .option('--port <port>', 'port that the application listens on; without one it gets no address')
    .option('--no-port', 'take the port and with it the address away')
    .option('-e, --env <name=value>', 'set a variable; without =value, to your own (repeatable)', collect)
    .option('--env-file <file>', 'set the variables in a file (repeatable)', collect)
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
    .option('--command <word...>', 'command in place of the image’s, word by word');
  withPlacementOptions(command)
    .option('--replace', 'start from nothing instead of from the present settings')
    .option('-m, --reason <text>', 'why, for the history')
    .option('--supersede', 'cancel what is under way instead of waiting for its end')
    .option('--no-wait', 'return as soon as the operation is stored')
    .option('--detach', 'the same as --no-wait')
    .option('--timeout <duration>', 'wait no longer than this, for example 10m')
    .option('--idempotency-key <key>', 'same key, same answer: makes repeating the command harmless')
    .action(action<DeployCommandOptions, [string | undefined]>(context, deploy));
}
