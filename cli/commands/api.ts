import { createInterface } from 'node:readline';
import {
  type DescMessage,
  type DescMethod,
  fromJson,
  type JsonValue,
  type MessageShape,
  toJson,
} from '@bufbuild/protobuf';
import type { Command } from 'commander';
import { refuse } from '../failures.ts';
import { action, type CliContext, type Invocation } from '../invocation.ts';
import { getMethod, listMethods } from '../method.ts';
import { plainJson } from '../plain-text.ts';

interface ApiOptions {
  readonly list?: boolean;
}

/** Adds `obiente api`: any call of the contract, as JSON. */
export function addApi(program: Command, context: CliContext): void {
  program
    .command('api')
    .description('call any method of the API; alone, starts the API in this process')
    .argument('[method]', 'Service/Method, for example DeploymentsService/ListDeployments')
    .argument('[json]', 'the request; "-" reads it from standard input, for an upload one message a line')
    .option('--list', 'list the methods')
    .action(action<ApiOptions, [string | undefined, string | undefined]>(context, call));
}

async function call(invocation: Invocation, options: ApiOptions, path?: string, json?: string): Promise<void> {
  const { context, openApi } = invocation;
  if (options.list === true || path === undefined) {
    context.stdout.write(`${listMethods().join('\n')}\n`);
    return;
  }
  const method = getMethod(path);
  const requests = readRequests(context, method, json);
  const { transport } = await openApi();
  const isStream = method.methodKind !== 'unary';
  if (!isStream) {
    const { value: request } = await requests.next();
    const answer = await transport.unary(
      method as DescMethod & { methodKind: 'unary' },
      invocation.signal,
      undefined,
      undefined,
      request ?? {},
    );
    write(context, method.output, answer.message, 2);
    return;
  }
  const answer = await transport.stream(
    method as DescMethod & { methodKind: 'server_streaming' },
    invocation.signal,
    undefined,
    undefined,
    requests,
  );
  for await (const message of answer.message) write(context, method.output, message);
}

/** Answers are JSON with or without `--json`: there is no other form of them. */
function write(context: CliContext, schema: DescMessage, message: MessageShape<DescMessage>, indent?: number): void {
  context.stdout.write(`${plainJson(toJson(schema, message, { alwaysEmitImplicit: true }), indent)}\n`);
}

async function* readRequests(
  context: CliContext,
  method: DescMethod,
  json: string | undefined,
): AsyncGenerator<MessageShape<DescMessage>> {
  const isUpload = method.methodKind === 'client_streaming' || method.methodKind === 'bidi_streaming';
  if (json !== '-') {
    yield toRequest(method, json ?? '{}');
    return;
  }
  if (!isUpload) {
    yield toRequest(method, await readAll(context));
    return;
  }
  for await (const line of createInterface({ input: context.stdin })) {
    if (line.trim() !== '') yield toRequest(method, line);
  }
}

/** A request larger than this is refused by the API anyway. */
const MAX_REQUEST_BYTES = 8 * 1024 ** 2;

async function readAll({ stdin }: CliContext): Promise<string> {
  const parts: Buffer[] = [];
  let bytes = 0;
  for await (const part of stdin) {
    const buffer = Buffer.from(part);
    bytes += buffer.length;
    if (bytes > MAX_REQUEST_BYTES) throw refuse('json', `is larger than ${MAX_REQUEST_BYTES / 1024 ** 2} MiB`);
    parts.push(buffer);
  }
  return Buffer.concat(parts).toString('utf8');
}

function toRequest(method: DescMethod, text: string): MessageShape<DescMessage> {
  let value: JsonValue;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw refuse('json', `is no JSON (${error instanceof Error ? error.message : 'unreadable'})`);
  }
  try {
    return fromJson(method.input, value);
  } catch (error) {
    throw refuse('json', error instanceof Error ? error.message : 'does not fit the request');
  }
}
