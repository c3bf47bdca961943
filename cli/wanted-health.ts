import { create, type MessageInitShape } from '@bufbuild/protobuf';
import { type Duration, DurationSchema } from '@bufbuild/protobuf/wkt';
import { type HealthCheck, HealthCheckSchema } from '../gen/obiente/cloud/v1/spec_pb.ts';
import type { AppHealth } from './app-file.ts';

/** The check of an application as the contract says it. */
export function toHealthCheck(health: AppHealth): HealthCheck {
  if (health === 'none') return create(HealthCheckSchema, { kind: { case: 'none', value: {} } });
  if (health === 'automatic') return create(HealthCheckSchema, { kind: { case: 'automatic', value: {} } });
  const { interval, timeout, retries, startPeriod } = health;
  return create(HealthCheckSchema, {
    kind: toKind(health),
    ...(interval === undefined ? {} : { interval: toDuration(interval) }),
    ...(timeout === undefined ? {} : { timeout: toDuration(timeout) }),
    ...(retries === undefined ? {} : { retries }),
    ...(startPeriod === undefined ? {} : { startPeriod: toDuration(startPeriod) }),
  });
}

function toKind(health: Exclude<AppHealth, string>): NonNullable<MessageInitShape<typeof HealthCheckSchema>['kind']> {
  if ('command' in health) return { case: 'command', value: { command: health.command } };
  if (!('path' in health)) return { case: 'automatic', value: {} };
  const expectedStatus = health.status === undefined ? {} : { expectedStatus: health.status };
  return { case: 'http', value: { path: health.path, ...expectedStatus } };
}

function toDuration(ms: number): Duration {
  return create(DurationSchema, { seconds: BigInt(Math.floor(ms / 1000)), nanos: (ms % 1000) * 1_000_000 });
}
