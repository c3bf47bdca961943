import { eventually } from './eventually.ts';

/**
 * What must be gone or so "in the end" may take a moment: it is looked for until there is nothing, for as long as a hang takes.
 *
 * @returns what is left, in words.
 */
export async function untilNone(look: () => Promise<string[]>): Promise<string[]> {
  let found: string[] = [];
  const none = async (): Promise<void> => {
    found = await look();
    if (found.length > 0) throw new Error(found.join('; '));
  };
  await eventually(none, { patienceMs: 30_000, everyMs: 200 }).catch(() => undefined);
  return found;
}
