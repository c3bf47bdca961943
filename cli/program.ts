import { Command, CommanderError } from 'commander';
import about from '../package.json' with { type: 'json' };
import { addAlerts } from './commands/alerts.ts';
import { addApi } from './commands/api.ts';
import { addControl } from './commands/control.ts';
import { addNode } from './commands/cordon.ts';
import { addDeploy } from './commands/deploy.ts';
import { addDoctor } from './commands/doctor.ts';
import { addGit } from './commands/git.ts';
import { addHistory } from './commands/history.ts';
import { addKeys } from './commands/keys.ts';
import { addList } from './commands/list.ts';
import { addLogin } from './commands/login.ts';
import { addLogout } from './commands/logout.ts';
import { addLogs } from './commands/logs.ts';
import { addMetrics } from './commands/metrics.ts';
import { addMigrate } from './commands/migrate.ts';
import { addNodes } from './commands/nodes.ts';
import { addOperate } from './commands/operate.ts';
import { addOrganizations } from './commands/organizations.ts';
import { addPlacement } from './commands/placement.ts';
import { addProjects } from './commands/projects.ts';
import { addRebalance } from './commands/rebalance.ts';
import { addRegistries } from './commands/registries.ts';
import { addRemove } from './commands/remove.ts';
import { addReplicas } from './commands/replicas.ts';
import { addRetention } from './commands/retention.ts';
import { addRoutes } from './commands/routes.ts';
import { addStatus } from './commands/status.ts';
import { addUpdate } from './commands/update.ts';
import { addUsage } from './commands/usage.ts';
import { addVolumes } from './commands/volumes.ts';
import { addWebhook } from './commands/webhook.ts';
import { addWhoAmI } from './commands/whoami.ts';
import { AlreadyShown, EXIT, type Failure, isAbort, OperationFailed, toFailure } from './failures.ts';
import type { CliContext } from './invocation.ts';
import { plainText } from './plain-text.ts';
import { ROLE_DESCRIPTIONS } from './roles.ts';
import { createTerminal } from './terminal.ts';

const COMMANDS = [
  addDeploy,
  addUpdate,
  addOperate,
  addControl,
  addHistory,
  addList,
  addStatus,
  addReplicas,
  addLogs,
  addMetrics,
  addUsage,
  addAlerts,
  addRemove,
  addNodes,
  addNode,
  addPlacement,
  addRebalance,
  addRoutes,
  addProjects,
  addRegistries,
  addVolumes,
  addGit,
  addWebhook,
  addRetention,
  addOrganizations,
  addKeys,
  addLogin,
  addLogout,
  addWhoAmI,
  addDoctor,
  addApi,
  addMigrate,
];

/**
 * Runs one command line and returns its exit code. Never throws: what went wrong is on standard error, and with
 * `--json` as `{ "error": … }` on standard output too.
 */
export async function run(args: readonly string[], context: CliContext): Promise<number> {
  const program = createProgram(context);
  try {
    await program.parseAsync(args, { from: 'user' });
    return EXIT.ok;
  } catch (error) {
    // Of a line with a mistake in it commander may not have read the option.
    const isJson = program.opts<{ json?: boolean }>().json === true || args.includes('--json');
    return report(error, isJson, context);
  }
}

function createProgram(context: CliContext): Command {
  const program = new Command('obiente')
    .description('Deploys and watches applications on Obiente Cloud.')
    .version(about.version, '-V, --version', 'the version of this command')
    .option('--json', 'machine-readable results: one JSON document, of streams one a line')
    .option('--org <name>', 'organization by name or id (default: OBIENTE_ORG, else your first)')
    .showSuggestionAfterError()
    .showHelpAfterError('(see "obiente --help")')
    .configureOutput({
      writeOut: (text) => context.stdout.write(text),
      writeErr: (text) => context.stderr.write(text),
    })
    .exitOverride();
  for (const add of COMMANDS) add(program, context);
  for (const [role, description] of Object.entries(ROLE_DESCRIPTIONS)) program.command(role).description(description);
  return program;
}

function report(error: unknown, isJson: boolean, context: CliContext): number {
  const { stdout, stderr, env } = context;
  if (error instanceof CommanderError) return reportUsage(error, isJson, context);
  // Whoever pressed Ctrl-C knows; an operation that goes on is told by StillRunning.
  if (isAbort(error)) return EXIT.interrupted;
  const failure = toFailure(error);
  const terminal = createTerminal({ stdout, stderr, env, isJson });
  if (error instanceof AlreadyShown) {
    terminal.note(`obiente: ${failure.message}`);
    return failure.exitCode;
  }
  const { exitCode, ...shown } = failure;
  const lastLines = error instanceof OperationFailed ? error.lastLines : [];
  if (!isJson) tell(failure, lastLines, (text) => terminal.note(text));
  terminal.document({ error: { ...shown, ...(lastLines.length > 0 ? { lastLines } : {}) } });
  return exitCode;
}

/** Commander has told people already, help included. */
function reportUsage(error: CommanderError, isJson: boolean, { stdout, stderr, env }: CliContext): number {
  if (error.exitCode === 0) return EXIT.ok;
  const message = error.message.replace(/^error: /, '');
  createTerminal({ stdout, stderr, env, isJson }).document({ error: { code: 'USAGE', message } });
  return EXIT.usage;
}

function tell(failure: Failure, lastLines: readonly string[], note: (text: string) => void): void {
  for (const [index, line] of failure.message.split('\n').entries()) {
    note(index === 0 ? `obiente: ${failure.code}: ${plainText(line)}` : `  ${plainText(line)}`);
  }
  if (failure.incidentId !== undefined) note(`  incident ${plainText(failure.incidentId)}`);
  for (const line of lastLines) note(`  ${plainText(line)}`);
  if (failure.hint !== undefined) note(`→ ${plainText(failure.hint)}`);
}
