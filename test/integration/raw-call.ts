import { join } from 'node:path';
import { storedToken } from '../../cli/tokens.ts';
import type { PlatformFacts } from '../support/platform.ts';

/** An answer of the API as `curl` shows it. */
export interface RawAnswer {
  readonly status: number;
  readonly code: string | undefined;
  readonly message: string;
  /** The typed detail's field. */
  readonly field: string | undefined;
}

/** The token of the platform's one development user. */
export async function accessToken({ stateDir }: Pick<PlatformFacts, 'stateDir'>): Promise<string> {
  return (await storedToken(join(stateDir, 'cli.json')).accessToken()) ?? '';
}

/** Calls the API as `curl` does: JSON over HTTP/1.1, whatever `body` holds; signed in unless `headers` say otherwise. */
export async function rawCall(
  platform: PlatformFacts,
  method: string,
  { body, headers = {} }: { body: unknown; headers?: Readonly<Record<string, string>> },
): Promise<RawAnswer> {
  const response = await fetch(`${platform.apiUrl}/obiente.cloud.v1.${method}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${await accessToken(platform)}`, ...headers },
    body: typeof body === 'string' ? body : JSON.stringify(body),
  });
  const text = await response.text();
  const isJson = response.headers.get('content-type') === 'application/json';
  const answer = (isJson ? JSON.parse(text) : {}) as {
    code?: string;
    message?: string;
    details?: { debug?: { field?: string } }[];
  };
  const { code, message = text, details } = answer;
  return { status: response.status, code, message, field: details?.[0]?.debug?.field };
}
