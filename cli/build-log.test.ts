import { create } from '@bufbuild/protobuf';
import { Code, ConnectError } from '@connectrpc/connect';
import { expect, it } from 'vitest';
import { GetDeploymentResponseSchema } from '../gen/obiente/cloud/v1/deployments_pb.ts';
import { StreamBuildLogsResponseSchema } from '../gen/obiente/cloud/v1/logs_pb.ts';
import { printBeside } from './build-log.ts';
import type { Api } from './client.ts';

const dockerfile = { case: 'dockerfile', value: { contextSha256: 'c'.repeat(64) } } as const;
const image = { case: 'image', value: { reference: 'redis:8' } } as const;

/** An API with a deployment of several services, of which these were built. */
function anApi(logs: Readonly<Record<string, readonly string[]>>): Api {
  const services = [
    { name: 'web', source: dockerfile },
    { name: 'prices', source: dockerfile },
    { name: 'kept', source: dockerfile },
    { name: 'cache', source: image },
  ];
  const spec = { source: { case: 'compose', value: { services } } } as const;
  return {
    deployments: { getDeployment: async () => create(GetDeploymentResponseSchema, { deployment: { spec } }) },
    logs: {
      streamBuildLogs: async function* ({ service = '' }) {
        if (!logs[service]) throw new ConnectError('build not found', Code.NotFound);
        for (const [index, text] of logs[service].entries()) {
          yield create(StreamBuildLogsResponseSchema, { line: { number: BigInt(index + 1), text } });
        }
      },
    },
  } as Partial<Record<keyof Api, unknown>> as Api;
}

it('prints what each service of a deployment that is built prints, with its name', async () => {
  const printed: string[] = [];
  const signal = new AbortController().signal;
  const api = anApi({ web: ['one', 'two'], prices: ['three'] });
  const log = printBeside(api, { deploymentId: 'd', revision: 2, signal }, ({ text }, service) => {
    printed.push(`${service}: ${text}`);
  });
  log.begin();
  log.begin();
  await log.end();
  expect(printed.sort()).toEqual(['prices: three', 'web: one', 'web: two']);
});
