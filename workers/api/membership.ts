import type { Keyring } from '../../adapters/sealing/keyring.ts';
import type { Membership } from '../../adapters/tokens/membership-envelope.ts';
import type { ApiConfig } from '../../config/api.ts';

/** What a node that joins needs of this installation, and no more. */
export function membershipOf(config: ApiConfig, payload: Keyring): Membership {
  const keys = payload.ids.map((id) => Buffer.from(payload.find(id) ?? []).toString('base64'));
  return {
    instance: config.OBIENTE_INSTANCE,
    temporalAddress: config.JOIN_TEMPORAL_ADDRESS ?? config.TEMPORAL_ADDRESS,
    temporalNamespace: config.TEMPORAL_NAMESPACE,
    payloadKeys: keys.join('\n'),
    metricsDatabaseUrl: config.JOIN_METRICS_DATABASE_URL ?? null,
  };
}
