import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { apiVariables } from './api.ts';
import { devVariables } from './dev.ts';
import { readEnvironment } from './environment.ts';
import { url } from './variables.ts';

/** What the supervisor says to these variables. */
function refusal(environment: Record<string, string>): string {
  try {
    readEnvironment(devVariables, environment);
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
  throw new Error('the variables were accepted');
}

describe('the environment', () => {
  it.each([
    [{ API_PORT: 'abc' }, 'API_PORT: must be a whole number from 1 to 65535'],
    [{ API_PORT: '0' }, 'API_PORT: must be a whole number from 1 to 65535'],
    [{ API_PORT: '0.5' }, 'API_PORT: must be a whole number from 1 to 65535'],
    [{ HTTP_PORT: '99999' }, 'HTTP_PORT: must be a whole number from 1 to 65535'],
    [{ LOG_LEVEL: 'loud' }, 'LOG_LEVEL: must be one of trace, debug, info, warn, error, fatal, silent'],
    [{ DOMAIN: 'bad domain' }, 'DOMAIN: must be a DNS name in lower case, such as localhost or apps.example.com'],
    [{ DOMAIN: 'a`) || Host(`b' }, 'DOMAIN: must be a DNS name in lower case, such as localhost or apps.example.com'],
    [{ DOMAIN: '127.0.0.1' }, 'DOMAIN: must be a DNS name in lower case, such as localhost or apps.example.com'],
    [{ NODE_ADDRESS: 'x y' }, 'NODE_ADDRESS: must be an IP address or a DNS name'],
    [{ BIND_ADDRESS: 'everywhere' }, 'BIND_ADDRESS: must be an IP address of this host'],
  ])('is refused in words: %j', (environment, message) => {
    expect(refusal(environment)).toBe(`cannot start: ${message}`);
  });

  it('is refused with all that is wrong at once', () => {
    expect(refusal({ API_PORT: 'x', DOMAIN: '-' })).toMatch(/DOMAIN: .*; API_PORT: /);
  });

  it('names what is missing, and shows no value', () => {
    const schema = z.object({ DATABASE_URL: url('postgres'), KEY_FILE: z.string() });
    const read = () => readEnvironment(schema, { DATABASE_URL: 'mysql://root:s3cret@db', KEY_FILE: '' });
    expect(read).toThrow(
      'cannot start: DATABASE_URL: must be a URL that starts with postgres://; KEY_FILE: is not set',
    );
  });

  it.each(['localhost', 'apps.example.com', 'xn--bcher-kva.example'])('takes the domain %s', (DOMAIN) => {
    expect(readEnvironment(devVariables, { DOMAIN }).DOMAIN).toBe(DOMAIN);
    expect(apiVariables.shape.DOMAIN.parse(DOMAIN)).toBe(DOMAIN);
  });
});
