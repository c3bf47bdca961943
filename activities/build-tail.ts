import { toKeptLine } from '../domain/build-log.ts';

/** How many of a failed build's last lines its error carries, and how much of them: an answer has to hold it. */
const LAST_LINES = 20;
const LAST_LINES_CHARACTERS = 4 * 1024;

/** The last lines of a build, whatever it prints. */
export interface BuildTail {
  push(raw: string): void;
  /** The lines without escape sequences, empty ones and what `mask` blanks. */
  text(): string;
}

/** Creates the tail. Lines are held as they come: only those of a build that fails are worth being cleaned. */
export function createBuildTail(mask: (text: string) => string): BuildTail {
  const lines: string[] = [];
  return {
    push: (raw) => {
      if (raw.trim() === '') return;
      lines.push(raw);
      if (lines.length > LAST_LINES) lines.shift();
    },
    text: () => {
      const text = lines.map((raw) => toKeptLine(raw, mask)).join('\n');
      return text.slice(-LAST_LINES_CHARACTERS).toWellFormed();
    },
  };
}
