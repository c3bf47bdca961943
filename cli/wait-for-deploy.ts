import type { Deployment, DeploymentEvent, Operation } from '../gen/obiente/cloud/v1/deployments_pb.ts';
import { printBeside } from './build-log.ts';
import type { Api } from './client.ts';
import { EXIT, isAbort, StillRunning } from './failures.ts';
import { deletedMeanwhile, followOperation } from './follow-operation.ts';
import type { Progress } from './progress.ts';

/** What is waited for, and for how long. */
export interface Waiting {
  readonly api: Api;
  readonly deployment: Deployment;
  readonly progress: Progress;
  readonly signal: AbortSignal;
  /** Unbounded when `undefined`. */
  readonly timeoutMs: number | undefined;
}

/**
 * Waits until the deployment's newest operation has ended, and shows its steps and what a build of it prints.
 *
 * @throws StillRunning when Ctrl-C or the timeout ends the wait: the operation goes on; OperationFailed when it fails
 * or the deployment is deleted meanwhile.
 */
export async function waitForDeploy({ deployment, ...waiting }: Waiting): Promise<Deployment> {
  const { operation } = deployment;
  if (operation === undefined) return deployment;
  const subject = { id: deployment.id, name: deployment.name, operation };
  const ended = await waitForOperation({ ...waiting, subject });
  if (ended === undefined) throw deletedMeanwhile();
  return ended;
}

/** Like {@link waitForDeploy}, for an operation of which the deployment may be gone: then `undefined`. */
export async function waitForOperation(
  waiting: Omit<Waiting, 'deployment'> & { subject: { id: string; name: string; operation: Operation } },
): Promise<Deployment | undefined> {
  const { api, subject, progress, timeoutMs } = waiting;
  const timeout = timeoutMs === undefined ? undefined : AbortSignal.timeout(timeoutMs);
  const signal = timeout === undefined ? waiting.signal : AbortSignal.any([waiting.signal, timeout]);
  const wanted = { deploymentId: subject.id, revision: subject.operation.revision, signal };
  const buildLog = printBeside(api, wanted, (line, service) => progress.output(line, service));
  progress.doing('waiting for the first step');
  try {
    return await followOperation(api, {
      deploymentId: subject.id,
      operation: subject.operation,
      signal,
      onEvent: (event) => {
        showStep(progress, event);
        if (/^build\.(waiting|started)$/.test(event.kind)) buildLog.begin();
      },
      onInterruption: () => progress.warn('the connection to the API broke, trying again'),
    });
  } catch (error) {
    if (!signal.aborted && !isAbort(error)) throw error;
    throw new StillRunning(subject.name, timeout?.aborted ? EXIT.stillRunning : EXIT.interrupted);
  } finally {
    await buildLog.end();
  }
}

/**
 * Steps that have only begun are what is going on; the others are done. Of a message of several lines the first: the
 * others come with the failure.
 */
function showStep(progress: Progress, { kind, message }: DeploymentEvent): void {
  const text = message.split('\n', 1)[0]?.replace(/; last lines:$/, '') || kind;
  if (kind.endsWith('.started') || kind === 'operation.queued') progress.doing(text);
  else if (/\.(failed|cancelled|waiting)$/.test(kind) || kind === 'replica.exited') progress.warn(text);
  else progress.done(text);
}
