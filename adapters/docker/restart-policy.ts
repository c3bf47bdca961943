import type { RestartPolicy } from '../../domain/spec.ts';

/** Docker's words. `unless-stopped`, so that what was stopped on purpose stays so when the daemon restarts. */
const NAMES: Record<RestartPolicy, string> = {
  always: 'unless-stopped',
  'on-failure': 'on-failure',
  never: 'no',
};

/** Says a policy as Docker wants to hear it. */
export function fromRestartPolicy(policy: RestartPolicy): { readonly Name: string } {
  return { Name: NAMES[policy] };
}

/** Reads Docker's policy; its `always` was set by somebody else's hand and means the same. */
export function toRestartPolicy(name: string | undefined): RestartPolicy {
  if (name === 'always' || name === 'unless-stopped') return 'always';
  return name === 'on-failure' ? 'on-failure' : 'never';
}
