import { Chalk, type ChalkInstance } from 'chalk';
import { isDomainError } from '../../domain/errors.ts';
import type { Platform } from './platform.ts';
import type { ProcessEvent } from './supervised-process.ts';

/** Where the supervisor speaks to a person. */
export interface Terminal {
  event(event: ProcessEvent): void;
  ready(platform: Platform, tookMs: number, logsDir: string): void;
  stopping(): void;
  failed(error: unknown): void;
}

/** One line for each thing that happens, and a summary when everything is ready. */
export function createTerminal(output: NodeJS.WriteStream): Terminal {
  const chalk = output.isTTY && !process.env.NO_COLOR ? new Chalk() : new Chalk({ level: 0 });
  // A terminal that was closed takes no more; stopping in order goes on without it.
  output.on('error', () => {});
  const write = (text: string): void => void output.write(`${text}\n`);
  return {
    event: (event) => write(describeEvent(event, chalk)),
    ready: (platform, tookMs, logsDir) => write(summary(platform, { tookMs, logsDir, chalk })),
    stopping: () => write('\nStopping. Applications go on running.'),
    failed: (error) => {
      write(`\n${chalk.red('✗')} ${error instanceof Error ? error.message : String(error)}`);
      if (isDomainError(error) && error.hint) write(`${chalk.yellow('→')} ${error.hint}`);
      if (!isDomainError(error) && error instanceof Error) write(chalk.dim(error.stack ?? ''));
    },
  };
}

function describeEvent(event: ProcessEvent, chalk: ChalkInstance): string {
  if (event.kind === 'stopped') return chalk.dim(`  ${event.name} stopped`);
  if (event.kind === 'ended') {
    const again = `starting again in ${seconds(event.restartInMs)}`;
    return `${chalk.yellow('!')} ${event.name} ended (${event.reason}), ${again}`;
  }
  const times = event.starts > 1 ? ' again' : '';
  return `${chalk.green('✓')} ${event.name} ready${times} ${chalk.dim(seconds(event.tookMs))}`;
}

function summary(
  { addresses, instance }: Platform,
  { tookMs, logsDir, chalk }: { tookMs: number; logsDir: string; chalk: ChalkInstance },
): string {
  const rows = [
    ['API', addresses.api],
    ['Applications', addresses.applications],
    ['Temporal', addresses.temporalUi],
    ['Logs', logsDir],
    ['Instance', instance],
  ];
  return [
    '',
    chalk.bold(`Obiente Cloud is ready`) + chalk.dim(` (${seconds(tookMs)})`),
    '',
    ...rows.map(([name = '', value = '']) => `  ${name.padEnd(14)}${chalk.cyan(value)}`),
    '',
    `  Deploy the first application:  ${chalk.bold('npx obiente deploy examples/hello')}`,
    '  Stop with Ctrl-C; applications go on running.',
    '',
  ].join('\n');
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`;
}
