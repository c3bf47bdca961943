import { patched } from '@temporalio/workflow';
import type { OperationRequest } from '../contracts/deployment.ts';
import { partOf } from '../domain/operation.ts';

/** The part of its deployment that a request sets. Runs that began before parts were told apart take it for all of it. */
export function partOfRequest(request: OperationRequest): { readonly part?: string } {
  const part = partOf(request.kind === 'scale' || request.kind === 'move' ? request : {});
  return part !== undefined && patched('parts') ? { part } : {};
}
