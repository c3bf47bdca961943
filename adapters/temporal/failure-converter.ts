import { DefaultFailureConverter } from '@temporalio/common';

/**
 * Puts messages and stack traces of failures into payloads, so that the codec encrypts them as well. Clients, workers
 * and the workflow bundle must all be given this file, or messages leak in the clear without a warning.
 */
export const failureConverter = new DefaultFailureConverter({ encodeCommonAttributes: true });
