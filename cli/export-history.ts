import { open, rename, rm } from 'node:fs/promises';
import type { Invocation } from './invocation.ts';

/**
 * Writes the history of an operation's workflow to a file that only its owner may read. A file of that name is replaced
 * once all of it is there, so that half of a history is never taken for one.
 */
export async function exportHistory(
  { openApi, terminal, signal }: Invocation,
  operationId: string,
  file: string,
): Promise<void> {
  const api = await openApi();
  const unfinished = `${file}.unfinished`;
  const handle = await open(unfinished, 'w', 0o600);
  let bytes = 0;
  try {
    for await (const { chunk } of api.operations.exportOperationHistory({ operationId }, { signal })) {
      await handle.writeFile(chunk);
      bytes += chunk.length;
    }
    await handle.close();
    await rename(unfinished, file);
  } catch (error) {
    await handle.close();
    await rm(unfinished, { force: true });
    throw error;
  }
  terminal.document({ file, bytes });
  terminal.line(`${file}: ${bytes} bytes. Its payloads are encrypted with the platform's payload key.`);
}
