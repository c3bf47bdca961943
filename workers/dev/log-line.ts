import { z } from 'zod';

const structured = z.object({
  msg: z.string(),
  hint: z.string().optional(),
  err: z.object({ message: z.string() }).optional(),
});

/** Longest line shown to a person; the log has all of it. */
const MAX_CHARACTERS = 400;

/** A line of a log as a person reads it: of a structured one, the message and the error's. */
export function toPlainLine(line: string): string {
  const text = parseStructured(line) ?? line;
  return text.length > MAX_CHARACTERS ? `${text.slice(0, MAX_CHARACTERS)}…` : text;
}

function parseStructured(line: string): string | undefined {
  try {
    const { msg, err, hint } = structured.parse(JSON.parse(line));
    return [err ? `${msg}: ${err.message}` : msg, hint].filter(Boolean).join(' → ');
  } catch {
    // Another program's log, or a line that was cut.
    return undefined;
  }
}
