import { createServer } from 'node:net';
import { z } from 'zod';
import { isPortOpen } from '../adapters/probe/port.ts';
import { isDomainError } from '../domain/errors.ts';
import { COMPONENTS } from '../scripts/components/all.mjs';
import { createContext } from '../scripts/machine/context.mjs';
import { findCredentials } from './credentials-file.ts';
import type { CliContext } from './invocation.ts';
import { DEFAULT_API_URL } from './session.ts';

/** How a part of the platform was found. */
export interface Finding {
  readonly name: string;
  readonly ok: boolean;
  readonly detail: string;
  /** What to do when it is not well. */
  readonly fix?: string;
}

const ANSWER_TIMEOUT_MS = 3_000;

/** What `npm start` listens on, with the variable that moves it. */
const PORTS: readonly (readonly [variable: string, port: number])[] = [
  ['API_PORT', 7400],
  ['TRAEFIK_INTERNAL_PORT', 7401],
  ['OIDC_PORT', 7402],
  ['NODE_GATEWAY_PORT', 7410],
  ['STREAMER_GATEWAY_PORT', 7411],
  ['POSTGRES_PORT', 7432],
  ['TEMPORAL_PORT', 7233],
  ['TEMPORAL_UI_PORT', 8233],
  ['HTTP_PORT', 8080],
  ['HTTPS_PORT', 8443],
];

/** Looks at every part of the machine that the set-up cares for. */
export async function checkComponents(context: CliContext): Promise<readonly Finding[]> {
  const setup = createContext({ env: context.env, quiet: true });
  return await Promise.all(
    COMPONENTS.map(async ({ name, check }) => {
      try {
        return { name, ...(await check(setup)) };
      } catch (error) {
        return { name, ok: false, detail: error instanceof Error ? error.message : String(error), fix: 'npm start' };
      }
    }),
  );
}

/** Looks at the running platform; at the ports that it needs when it does not run. */
export async function checkPlatform(context: CliContext): Promise<readonly Finding[]> {
  const { env } = context;
  const signIn = await checkSignIn(context);
  const apiUrl = env.OBIENTE_API_URL || signIn.apiUrl || DEFAULT_API_URL;
  const [api, temporal] = await Promise.all([checkApi(apiUrl), checkTemporal(env)]);
  if (api.ok) return [api, temporal, signIn.finding];
  return [api, temporal, ...(await checkPorts(env)), signIn.finding];
}

const healthSchema = z.object({ status: z.string(), version: z.string().optional(), message: z.string().optional() });

async function checkApi(apiUrl: string): Promise<Finding> {
  const name = 'api';
  try {
    const response = await fetch(new URL('/health', apiUrl), { signal: AbortSignal.timeout(ANSWER_TIMEOUT_MS) });
    const health = healthSchema.safeParse(await response.json());
    if (!health.success) return { name, ok: false, detail: `${apiUrl} is something else`, fix: 'set OBIENTE_API_URL' };
    const { status, version, message } = health.data;
    if (response.ok)
      return { name, ok: true, detail: `${apiUrl} is ${status}${version ? `, version ${version}` : ''}` };
    return {
      name,
      ok: false,
      detail: `${apiUrl} is ${status}: ${message ?? 'no reason given'}`,
      fix: 'look at .obiente/logs',
    };
  } catch {
    // Refused, silent or no JSON: for the user it is the same.
    return { name, ok: false, detail: `${apiUrl} does not answer`, fix: 'npm start' };
  }
}

async function checkTemporal(env: Record<string, string | undefined>): Promise<Finding> {
  const address = env.TEMPORAL_ADDRESS || `127.0.0.1:${env.TEMPORAL_PORT || 7233}`;
  const { hostname, port } = new URL(`tcp://${address}`);
  const name = 'temporal server';
  if (await isPortOpen({ host: hostname, port: Number(port), timeoutMs: ANSWER_TIMEOUT_MS }))
    return { name, ok: true, detail: `listens on ${address}` };
  return { name, ok: false, detail: `nobody listens on ${address}`, fix: 'npm start' };
}

async function checkPorts(env: Record<string, string | undefined>): Promise<readonly Finding[]> {
  const host = env.BIND_ADDRESS || '127.0.0.1';
  const taken: Finding[] = [];
  for (const [variable, standard] of PORTS) {
    const port = Number(env[variable] || standard);
    if (await isFree(host, port)) continue;
    const fix = `end the process that listens there, or set ${variable} to another port`;
    taken.push({ name: 'ports', ok: false, detail: `port ${port} (${variable}) is taken`, fix });
  }
  return taken.length > 0 ? taken : [{ name: 'ports', ok: true, detail: 'all free' }];
}

async function checkSignIn(context: CliContext): Promise<{ finding: Finding; apiUrl: string | undefined }> {
  const name = 'sign-in';
  if (context.env.OBIENTE_TOKEN) {
    return { finding: { name, ok: true, detail: 'by OBIENTE_TOKEN' }, apiUrl: undefined };
  }
  try {
    const found = await findCredentials(context);
    const apiUrl = found?.credentials.apiUrl;
    if (found?.credentials.accessToken !== undefined) {
      return { finding: { name, ok: true, detail: `${found.file} for ${apiUrl}` }, apiUrl };
    }
    return { finding: { name, ok: false, detail: 'nobody is signed in', fix: 'npm start, or obiente login' }, apiUrl };
  } catch (error) {
    if (!isDomainError(error)) throw error;
    const fix = error.hint === undefined ? {} : { fix: error.hint };
    return { finding: { name, ok: false, detail: error.message, ...fix }, apiUrl: undefined };
  }
}

function isFree(host: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen({ host, port, exclusive: true }, () => server.close(() => resolve(true)));
  });
}
