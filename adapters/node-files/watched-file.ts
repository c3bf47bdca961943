import { type FSWatcher, watch } from 'node:fs';
import { mkdir, readFile } from 'node:fs/promises';
import { basename, dirname } from 'node:path';

/** The newest content of a file that another process writes. */
export interface WatchedFile {
  /** `undefined` while there is no such file. */
  current(): string | undefined;
  /** Returns the content once there is any. @throws the signal's reason when aborted before. */
  untilPresent(signal: AbortSignal): Promise<string>;
  close(): void;
}

/**
 * Watches a file by events of its folder, which is made when it is missing: so the file may come later, or be replaced
 * by another of its name.
 */
export async function watchFile(path: string): Promise<WatchedFile> {
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  let content: string | undefined;
  let reading: Promise<void> = Promise.resolve();
  let changed = Promise.withResolvers<void>();

  const read = async (): Promise<void> => {
    const found = await readFile(path, 'utf8').catch(() => undefined);
    if (found !== undefined && found.trim() !== '') content = found.trim();
    changed.resolve();
    changed = Promise.withResolvers<void>();
  };
  const watcher: FSWatcher = watch(dirname(path), (_, name) => {
    if (name === null || name === basename(path)) reading = reading.then(read);
  });
  watcher.unref();
  watcher.on('error', () => undefined);
  await read();

  return {
    current: () => content,
    untilPresent: async (signal) => {
      const { promise: aborted, reject } = Promise.withResolvers<never>();
      const onAbort = (): void => reject(signal.reason);
      signal.addEventListener('abort', onAbort, { once: true });
      try {
        signal.throwIfAborted();
        while (content === undefined) await Promise.race([changed.promise, aborted]);
        return content;
      } finally {
        signal.removeEventListener('abort', onAbort);
      }
    },
    close: () => watcher.close(),
  };
}
