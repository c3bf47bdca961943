import type { Writable } from 'node:stream';
import ora from 'ora';
import type { BuildLogLine } from '../gen/obiente/cloud/v1/logs_pb.ts';
import { showBuildLine } from './build-log.ts';
import { firstLine, plainText } from './plain-text.ts';
import type { OutputStream, Terminal } from './terminal.ts';

/** Shows on standard error what is being done: a spinner on a terminal, else a line a step. */
export interface Progress {
  /** What is going on now. */
  doing(text: string): void;
  /** A step that was taken. */
  done(text: string): void;
  /** Something worth knowing that is no step. */
  warn(text: string): void;
  /** A line that a build prints while it goes on; of several services with the name of its own. */
  output(line: BuildLogLine, service: string): void;
  /** Ends the display; nothing is shown afterwards. */
  stop(): void;
}

/** Creates the display of one command. */
export function createProgress(terminal: Terminal, stderr: OutputStream, startedAt: number = Date.now()): Progress {
  const elapsed = (): string => `${((Date.now() - startedAt) / 1000).toFixed(1).padStart(5)} s`;
  if (stderr.isTTY !== true || terminal.isJson) {
    const say = (sign: string, text: string): void => terminal.note(`${sign} ${elapsed()}  ${plainText(text)}`);
    return {
      doing: () => undefined,
      done: (text) => say('✓', text),
      warn: (text) => say('!', firstLine(text)),
      output: (line, service) => terminal.note(`  ${labelOf(service)}| ${showBuildLine(terminal, line)}`),
      stop: () => undefined,
    };
  }
  const { paint } = terminal;
  // Without stdin, which it would put into raw mode, and Ctrl-C would not arrive as a signal.
  const spinner = ora({ stream: stderr as unknown as Writable & NodeJS.WriteStream, discardStdin: false });
  const persist = (symbol: string, text: string): void => {
    const next = spinner.text;
    spinner.stopAndPersist({ symbol, text: `${paint.dim(elapsed())}  ${plainText(text)}` });
    spinner.start(next);
  };
  return {
    doing: (text) => {
      spinner.start(plainText(text));
    },
    done: (text) => persist(paint.green('✓'), text),
    warn: (text) => persist(paint.yellow('!'), firstLine(text)),
    output: (line, service) => {
      spinner.clear();
      terminal.note(`  ${labelOf(service)}${paint.dim('|')} ${showBuildLine(terminal, line)}`);
      spinner.render();
    },
    stop: () => {
      spinner.stop();
    },
  };
}

function labelOf(service: string): string {
  return service === '' ? '' : `${plainText(service)} `;
}
