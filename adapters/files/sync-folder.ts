import { open } from 'node:fs/promises';

/** Makes what was renamed into a folder durable: a rename is once its folder is. */
export async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
