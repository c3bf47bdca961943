import { ROLES } from '../workers/roles.ts';

/** What each role does, for the help. */
export const ROLE_DESCRIPTIONS: Readonly<Record<string, string>> = {
  orchestrator: 'run the workflows in this process',
  streamer: 'run this Docker host’s live metrics in this process',
  'dev-oidc': 'run the identity provider of development in this process',
};

/** The role that the arguments ask for: its name alone. `obiente api` and `obiente node` with an argument are commands. */
export function roleOf(args: readonly string[]): string | undefined {
  const [name = '', ...rest] = args;
  return rest.length === 0 && Object.hasOwn(ROLES, name) ? name : undefined;
}

/** Runs a role as this process; returns only when it has been stopped. */
export async function runAsProcess(role: string): Promise<void> {
  const load = ROLES[role];
  if (load === undefined) return;
  const { runRole } = await import('../workers/run-role.ts');
  await runRole(role, async (environment, log) => await (await load())(environment, log));
}
