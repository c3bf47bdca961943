import type { StartRole } from './run-role.ts';

/** The roles of the platform. Each is loaded only by the process that runs it. */
export const ROLES: Readonly<Record<string, () => Promise<StartRole>>> = {
  api: async () => (await import('./api.ts')).startApi,
  orchestrator: async () => (await import('./orchestrator.ts')).startOrchestrator,
  node: async () => (await import('./node.ts')).startNode,
  streamer: async () => (await import('./streamer.ts')).startStreamer,
  'dev-oidc': async () => (await import('./dev-oidc.ts')).startDevOidcRole,
};
