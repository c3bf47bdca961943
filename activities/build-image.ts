import { Context } from '@temporalio/activity';
import type { BuildActivities, BuildImageInput, BuiltImage } from '../contracts/node-activities.ts';
import type { BuildSource } from '../contracts/rollout.ts';
import { DomainError, isDomainError } from '../domain/errors.ts';
import { createMask } from '../domain/mask-values.ts';
import { builtImageTag, ownedLabels } from '../domain/naming.ts';
import { withContext } from './build-context.ts';
import { limitBuild } from './build-limits.ts';
import { createBuildReporter } from './build-reporter.ts';
import { createBuildTail } from './build-tail.ts';
import { withHeartbeats } from './heartbeats.ts';
import type { BuildPorts } from './node-ports.ts';

/** Where the output of a build goes. */
interface Output {
  print(raw: string): void;
}

/**
 * Creates the activity that builds an image from a stored context or a commit and tags it for its service.
 *
 * Waits for one of the node's few places first, and says so. Safe to run twice: Docker's cache answers for the steps
 * that were done, the tag moves to the newer result, and the log goes on behind a remark. A cancel or a shutdown of this
 * process leaves the line, or stops the fetch or the build itself. Heartbeats tell whether it waits or builds.
 *
 * @throws BUILD_FAILED (final) with the reason and the last lines, without values of the deployment's variables;
 * SOURCE_REFUSED (final), SOURCE_UNAVAILABLE.
 */
export function createBuildImage(ports: BuildPorts): Pick<BuildActivities, 'buildImage'> {
  return {
    buildImage: (input) =>
      withHeartbeats({ step: 'prepare' }, async (heartbeats) => {
        const { deploymentId, revision, service } = input;
        const { cancellationSignal: signal, info, log } = Context.current();
        const args = await fetchArguments(input, ports);
        const variables = await ports.fetchEnvironment({ deploymentId, revision, service });
        const mask = createMask([...Object.values(variables), ...Object.values(args)]);
        const reporter = createBuildReporter({
          of: { deploymentId, revision, service, attempt: info.currentAttemptScheduledTimestampMs },
          send: ports.reportBuild,
          mask,
          onProblem: (error) => log.warn('a part of the log of a build is lost', { error }),
        });
        const tail = createBuildTail(mask);
        const print = (raw: string): void => {
          tail.push(raw);
          reporter.print(raw);
        };
        let giveBack: (() => void) | undefined;
        try {
          giveBack = await ports.slots.take(signal, () => {
            heartbeats.report({ step: 'wait for a build slot' });
            reporter.enter('waiting');
          });
          heartbeats.report({ step: 'build' });
          reporter.enter('building');
          return await build({ ...input, args }, ports, { print });
        } catch (error) {
          throw withLastLines(error, tail.text(), mask);
        } finally {
          giveBack?.();
          await reporter.close();
        }
      }),
  };
}

/** A page is built without options. */
function optionsOf(source: BuildSource): { readonly target?: string | undefined; readonly hasArguments: boolean } {
  return source.kind === 'static' ? { hasArguments: false } : source;
}

async function fetchArguments({ deploymentId, revision, service, source }: BuildImageInput, ports: BuildPorts) {
  if (!optionsOf(source).hasArguments) return {};
  return await ports.fetchBuildArguments({ deploymentId, revision, service });
}

async function build(
  { args, ...input }: BuildImageInput & { readonly args: Readonly<Record<string, string>> },
  ports: BuildPorts,
  { print }: Output,
): Promise<BuiltImage> {
  const { projectId, deploymentId, revision, service } = input;
  const { target } = optionsOf(input.source);
  const { signal, stop } = await limitBuild(ports.limits, Context.current().cancellationSignal);
  try {
    return await withContext(ports, { ...input, args }, { signal, print }, async ({ detected, ...made }) => {
      const { imageId } = await ports.buildImage({
        ...{ target, args, ...made },
        tag: builtImageTag(ports.instance, { deploymentId, revision, service }),
        labels: ownedLabels({ instance: ports.instance, projectId, deploymentId }),
        limits: ports.limits,
        signal,
        onLine: print,
      });
      const published = await publish({ deploymentId, revision, service, imageId, signal }, ports, print);
      return { imageId, ...published, ...(detected === undefined ? {} : { detected }) };
    });
  } finally {
    stop();
  }
}

/**
 * A registry that is away costs no deploy: the image is there, and other nodes can get it from this one. The cancel of the
 * build is another thing than its failure.
 */
async function publish(
  of: Parameters<NonNullable<BuildPorts['publish']>>[0],
  ports: BuildPorts,
  print: Output['print'],
): Promise<{ reference?: string }> {
  if (!ports.publish) return {};
  try {
    const reference = await ports.publish(of);
    print(`pushed the image to ${reference}`);
    return { reference };
  } catch (error) {
    Context.current().cancellationSignal.throwIfAborted();
    print(`the image is not pushed (${error instanceof Error ? error.message : error}); nodes send it to each other`);
    return {};
  }
}

/** The instruction that failed may hold a value too. */
function withLastLines(error: unknown, lastLines: string, mask: (text: string) => string): unknown {
  if (!isDomainError(error) || error.code !== 'BUILD_FAILED') return error;
  const output = lastLines === '' ? '' : `; last lines:\n${lastLines}`;
  return new DomainError('BUILD_FAILED', `${mask(error.message)}${output}`, { hint: error.hint ?? '' });
}
