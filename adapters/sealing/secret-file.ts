import { open } from 'node:fs/promises';
import { DomainError } from '../../domain/errors.ts';

/** Larger than any key or token that is kept in a file. */
const MAX_SECRET_BYTES = 64 * 1024;

const OTHERS = 0o007;

/**
 * Reads a file that holds a secret, without the blanks around it.
 *
 * @param variable the environment variable that names the file, for the error.
 * @throws CONFIGURATION when the file is missing, empty, too large, or open to every user of the host.
 */
export async function readSecretFile(path: string, variable: string): Promise<string> {
  const file = await open(path, 'r').catch((error: NodeJS.ErrnoException) => {
    throw refuse(
      variable,
      path,
      `cannot be read (${error.code ?? 'unknown'})`,
      'Check the path and the owner of the file.',
    );
  });
  try {
    const status = await file.stat();
    const { mode, size } = status;
    if (!status.isFile()) throw refuse(variable, path, 'is no file', 'Name the file that holds the secret.');
    if ((mode & OTHERS) !== 0) throw refuse(variable, path, 'is open to every user', `Run \`chmod 600 ${path}\`.`);
    if (size > MAX_SECRET_BYTES)
      throw refuse(variable, path, `has ${size} bytes`, 'Name the file that holds the secret.');
    const text = (await file.readFile('utf8')).trim();
    if (text === '') throw refuse(variable, path, 'is empty', 'Write the secret into the file.');
    return text;
  } finally {
    await file.close();
  }
}

function refuse(variable: string, path: string, finding: string, hint: string): DomainError {
  return new DomainError('CONFIGURATION', `${variable}: ${path} ${finding}`, { hint });
}
