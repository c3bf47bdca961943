import { create, type MessageInitShape } from '@bufbuild/protobuf';
import { durationFromMs } from '@bufbuild/protobuf/wkt';
import { type CanaryStepSchema, type RolloutPolicy, RolloutPolicySchema } from '../gen/obiente/cloud/v1/spec_pb.ts';
import type { AppRollout } from './app-file.ts';

/** Puts the file's words about a rollout into the contract's. */
export function toRolloutPolicy(rollout: AppRollout): RolloutPolicy {
  return create(RolloutPolicySchema, { strategy: toStrategy(rollout) });
}

function toStrategy(rollout: AppRollout): NonNullable<MessageInitShape<typeof RolloutPolicySchema>['strategy']> {
  switch (rollout.strategy) {
    case 'rolling': {
      const { maxSurge, maxUnavailable, approval = false } = rollout;
      const surge = maxSurge === undefined ? {} : { maxSurgePercent: maxSurge };
      const unavailable = maxUnavailable === undefined ? {} : { maxUnavailablePercent: maxUnavailable };
      return { case: 'rolling', value: { ...surge, ...unavailable, approval } };
    }
    case 'recreate':
      return { case: 'recreate', value: { approval: rollout.approval ?? false } };
    case 'blue-green': {
      const keepOld = rollout.keepOld === undefined ? {} : { keepOld: durationFromMs(rollout.keepOld) };
      return { case: 'blueGreen', value: { approval: rollout.approval ?? false, ...keepOld } };
    }
    case 'canary':
      return { case: 'canary', value: { steps: rollout.steps.map(toStep) } };
  }
}

type AppStep = Extract<AppRollout, { strategy: 'canary' }>['steps'][number];

function toStep(step: AppStep): MessageInitShape<typeof CanaryStepSchema> {
  const { weight: weightPercent } = step;
  if ('approval' in step) return { weightPercent, gate: { case: 'approval', value: {} } };
  if ('wait' in step) return { weightPercent, gate: { case: 'wait', value: durationFromMs(step.wait) } };
  const { watch, maxErrors, minRequests } = step;
  const least = minRequests === undefined ? {} : { minRequests };
  const value = { watch: durationFromMs(watch), maxErrorPercent: maxErrors, ...least };
  return { weightPercent, gate: { case: 'errors', value } };
}
