import type { z } from 'zod';
import { DomainError } from '../domain/errors.ts';

/**
 * Parses the environment into a typed object, once, at the start of a process.
 *
 * An empty variable counts as unset. Values never appear in the error, since any of them may be a secret.
 *
 * @throws CONFIGURATION with every variable that is missing or wrong, by name.
 */
export function readEnvironment<Schema extends z.ZodObject>(
  schema: Schema,
  environment: Record<string, string | undefined>,
): z.infer<Schema> {
  const present = Object.fromEntries(
    Object.entries(environment).filter(([, value]) => value !== undefined && value !== ''),
  );
  const parsed = schema.safeParse(present);
  if (parsed.success) return parsed.data;
  const problems = parsed.error.issues.map(({ path, message }) => {
    const name = path.join('.');
    return `${name}: ${Object.hasOwn(present, name) ? message : 'is not set'}`;
  });
  throw new DomainError('CONFIGURATION', `cannot start: ${[...new Set(problems)].join('; ')}`, {
    hint: 'Set these variables; .env.example describes each of them.',
  });
}
