import { ApplicationFailure, ApplicationFailureCategory } from '@temporalio/common';
import { isDomainError, RETRYABLE } from '../domain/errors.ts';

/** Codes that are an expected "not yet": they are retried without being logged as trouble. */
const BENIGN = new Set(['INGRESS_UNCONFIRMED']);

/**
 * Turns a {@link DomainError} into the failure that Temporal stores: the type is the code, final where no retry can
 * help, hint and field as details, and whether it may pass by itself. Anything else is returned as it is, and so retried
 * by policy.
 */
export function toApplicationFailure(error: unknown): unknown {
  if (!isDomainError(error)) return error;
  return ApplicationFailure.create({
    type: error.code,
    message: error.message,
    nonRetryable: !RETRYABLE[error.code],
    details: [{ hint: error.hint ?? '', field: error.field ?? '', ...(error.mayPass ? { mayPass: true } : {}) }],
    ...(BENIGN.has(error.code) ? { category: ApplicationFailureCategory.BENIGN } : {}),
    ...(error.cause instanceof Error ? { cause: error.cause } : {}),
  });
}

type Activity = (...inputs: never[]) => Promise<unknown>;

/** Wraps every activity so that what it throws reaches the workflow by {@link toApplicationFailure}. */
export function withFailures<Activities extends object>(activities: Activities): Activities {
  const wrapped = Object.entries(activities).map(([name, activity]) => [name, failing(activity as Activity)]);
  return Object.fromEntries(wrapped) as Activities;
}

function failing(activity: Activity): Activity {
  return async (...inputs) => {
    try {
      return await activity(...inputs);
    } catch (error) {
      throw toApplicationFailure(error);
    }
  };
}
