import type { Api } from '../../cli/client.ts';
import { tarOf } from '../support/docker.ts';
import type { SpecInit } from './deployed.ts';

/** The largest part of an upload that is taken. */
const CHUNK_BYTES = 1024 * 1024;

/** Uploads files as a build context of the user's organization. @returns its hash. */
export async function upload(api: Api, files: Readonly<Record<string, string | Buffer>>): Promise<string> {
  const { memberships } = await api.identity.whoAmI({});
  const organizationId = memberships[0]?.organizationId ?? '';
  async function* parts() {
    yield { part: { case: 'header', value: { organizationId } } } as const;
    for await (const chunk of tarOf(files)) {
      const bytes = chunk as Buffer;
      for (let from = 0; from < bytes.length; from += CHUNK_BYTES) {
        const value = new Uint8Array(bytes.subarray(from, from + CHUNK_BYTES));
        yield { part: { case: 'chunk', value } } as const;
      }
    }
  }
  return (await api.sources.uploadContext(parts())).contextSha256;
}

/** A deployment that is built from these files; nothing is asked of it but that it runs. */
export async function aBuilt(
  api: Api,
  files: Readonly<Record<string, string | Buffer>>,
  changes: SpecInit = {},
): Promise<SpecInit> {
  return {
    source: { case: 'dockerfile', value: { contextSha256: await upload(api, files) } },
    command: ['/bin/sleep', '86400'],
    limits: { cpuCores: 0.1, memoryBytes: 16n * 1024n * 1024n },
    ...changes,
  } as SpecInit;
}

/** A line of a build's log, as `follow` tells it. */
export interface SeenLine {
  readonly number: number;
  readonly text: string;
}

/** Reads the log of a deployment's newest build to its end; with `follow` until the build has ended. */
export async function readLog(
  api: Api,
  deploymentId: string,
  { follow = false, onLine = () => undefined }: { follow?: boolean; onLine?: (line: SeenLine) => unknown } = {},
): Promise<SeenLine[]> {
  const lines: SeenLine[] = [];
  for await (const { line } of api.logs.streamBuildLogs({ deploymentId, follow })) {
    if (!line) continue;
    lines.push({ number: Number(line.number), text: line.text });
    await onLine({ number: Number(line.number), text: line.text });
  }
  return lines;
}

/** Kinds and messages of what happened to a deployment so far. */
export async function eventsOf(api: Api, deploymentId: string): Promise<string[]> {
  const events: string[] = [];
  for await (const { event, deployment } of api.deployments.watchDeployment({ deploymentId, afterSequence: 0n })) {
    if (event) events.push(`${event.kind}: ${event.message}`);
    if (deployment) return events;
  }
  return events;
}
