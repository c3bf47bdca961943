import type { MessageInitShape } from '@bufbuild/protobuf';
import { durationFromMs, durationMs } from '@bufbuild/protobuf/wkt';
import type { CanaryStep, RolloutGate, RolloutPolicy } from '../../domain/rollout-policy.ts';
import type {
  CanaryStepSchema,
  RolloutPolicySchema,
  RolloutPolicy as WirePolicy,
  CanaryStep as WireStep,
} from '../../gen/obiente/cloud/v1/spec_pb.ts';

/** Requests that a watched canary must have got, where nothing is said: few enough for a small site. */
const DEFAULT_MIN_REQUESTS = 20;

/** Takes a policy off the wire; `undefined` for one that is not set. */
export function fromWireRollout(policy: WirePolicy | undefined): RolloutPolicy | undefined {
  const strategy = policy?.strategy;
  switch (strategy?.case) {
    case 'rolling': {
      const { maxSurgePercent = 100, maxUnavailablePercent = 0, approval } = strategy.value;
      return { strategy: 'rolling', maxSurgePercent, maxUnavailablePercent, approval };
    }
    case 'recreate':
      return { strategy: 'recreate', approval: strategy.value.approval };
    case 'blueGreen': {
      const { approval, keepOld } = strategy.value;
      return { strategy: 'blue-green', approval, keepOldMs: keepOld ? durationMs(keepOld) : 0 };
    }
    case 'canary':
      return { strategy: 'canary', steps: strategy.value.steps.map(fromStep) };
    default:
      return undefined;
  }
}

function fromStep({ weightPercent, gate }: WireStep): CanaryStep {
  return { weightPercent, gate: fromGate(gate) };
}

/** The contract demands a gate; without one a step waits for no time. */
function fromGate(gate: WireStep['gate']): RolloutGate {
  if (gate.case === 'approval') return { kind: 'approval' };
  if (gate.case !== 'errors') return { kind: 'wait', waitMs: gate.value ? durationMs(gate.value) : 0 };
  const { watch, maxErrorPercent, minRequests = DEFAULT_MIN_REQUESTS } = gate.value;
  return { kind: 'errors', waitMs: watch ? durationMs(watch) : 0, maxErrorPercent, minRequests };
}

/** Puts a policy on the wire. */
export function toWireRollout(policy: RolloutPolicy): MessageInitShape<typeof RolloutPolicySchema> {
  switch (policy.strategy) {
    case 'rolling': {
      const { maxSurgePercent, maxUnavailablePercent, approval } = policy;
      return { strategy: { case: 'rolling', value: { maxSurgePercent, maxUnavailablePercent, approval } } };
    }
    case 'recreate':
      return { strategy: { case: 'recreate', value: { approval: policy.approval } } };
    case 'blue-green': {
      const { approval, keepOldMs } = policy;
      return { strategy: { case: 'blueGreen', value: { approval, keepOld: durationFromMs(keepOldMs) } } };
    }
    case 'canary':
      return { strategy: { case: 'canary', value: { steps: policy.steps.map(toStep) } } };
  }
}

function toStep({ weightPercent, gate }: CanaryStep): MessageInitShape<typeof CanaryStepSchema> {
  return { weightPercent, gate: toGate(gate) };
}

function toGate(gate: RolloutGate): NonNullable<MessageInitShape<typeof CanaryStepSchema>['gate']> {
  if (gate.kind === 'approval') return { case: 'approval', value: {} };
  if (gate.kind === 'wait') return { case: 'wait', value: durationFromMs(gate.waitMs) };
  const { waitMs, maxErrorPercent, minRequests } = gate;
  return { case: 'errors', value: { watch: durationFromMs(waitMs), maxErrorPercent, minRequests } };
}
