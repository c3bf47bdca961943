import { DomainError } from '../../domain/errors.ts';
import { runRole, type StartRole } from '../run-role.ts';

/** Each role is loaded only by the process that runs it. */
const ROLES: Readonly<Record<string, () => Promise<StartRole>>> = {
  api: async () => (await import('../api.ts')).startApi,
  orchestrator: async () => (await import('../orchestrator.ts')).startOrchestrator,
  node: async () => (await import('../node.ts')).startNode,
  streamer: async () => (await import('../streamer.ts')).startStreamer,
  'dev-oidc': async () => (await import('../dev-oidc.ts')).startDevOidcRole,
};

const role = process.argv[2] ?? '';
const load = ROLES[role];

await runRole(role, async (environment, log) => {
  if (!load) {
    const known = Object.keys(ROLES).join(', ');
    throw new DomainError('CONFIGURATION', `cannot start the role ${JSON.stringify(role)}: the roles are ${known}`);
  }
  const start = await load();
  return await start(environment, log);
});
