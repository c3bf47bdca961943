/** Requests before there are any messages with a type: https://www.postgresql.org/docs/17/protocol-message-formats.html */
const STARTUP = 196_608;
const ENCRYPTION = [80_877_103, 80_877_104];

/** What a client says who it is. */
export interface Startup {
  readonly user: string;
  /** The role that it takes from the start, by `options=-c role=…`. */
  readonly role: string | undefined;
}

/** What a client wants, in whole messages. */
export type Request =
  | { readonly kind: 'encrypt' }
  | ({ readonly kind: 'start' } & Startup)
  /** Ends with a message after which the server says that it is ready. */
  | { readonly kind: 'work'; readonly messages: Buffer };

/** Messages after which the server is ready: a simple query, and the end of an extended one. */
const READY_AFTER = ['Q', 'S'];

/** Messages of which work consists: parse, bind, describe, execute, close, query, sync. */
const KNOWN = ['P', 'B', 'D', 'E', 'C', ...READY_AFTER];

/** Cuts what a client sends into requests. Ends with its farewell. @throws at what is not known here, such as COPY. */
export async function* readRequests(chunks: AsyncIterable<Buffer>): AsyncGenerator<Request> {
  let rest: Buffer = Buffer.alloc(0);
  let hasStarted = false;
  let work: Buffer[] = [];
  for await (const chunk of chunks) {
    rest = Buffer.concat([rest, chunk]);
    for (;;) {
      const head = hasStarted ? 1 : 0;
      if (rest.length < head + 4) break;
      const length = head + rest.readInt32BE(head);
      if (rest.length < length) break;
      const message = rest.subarray(0, length);
      rest = rest.subarray(length);
      if (!hasStarted) {
        const request = parseFirst(message);
        hasStarted = request.kind === 'start';
        yield request;
        continue;
      }
      const type = String.fromCharCode(message[0] ?? 0);
      if (type === 'X') return;
      if (!KNOWN.includes(type)) throw new Error(`messages of type ${type} are not known here`);
      work.push(message);
      if (!READY_AFTER.includes(type)) continue;
      yield { kind: 'work', messages: Buffer.concat(work) };
      work = [];
    }
  }
}

function parseFirst(message: Buffer): Request {
  const code = message.readInt32BE(4);
  if (ENCRYPTION.includes(code)) return { kind: 'encrypt' };
  if (code !== STARTUP) throw new Error(`a client began with ${code}`);
  const words = message.subarray(8).toString().split('\0');
  const told = (name: string): string | undefined => {
    const place = words.findIndex((word, index) => index % 2 === 0 && word === name);
    return place < 0 ? undefined : words[place + 1];
  };
  const role = /-c role=(\S+)/.exec(told('options') ?? '')?.[1];
  return { kind: 'start', user: told('user') ?? '', role };
}

/** A simple query as a message. */
export function queryMessage(statement: string): Buffer {
  return typed('Q', Buffer.from(`${statement}\0`));
}

/** What a client is told that may begin: it is who it says, and the server is ready. */
export function welcome(): Buffer {
  const parameters = { server_version: '17.5', client_encoding: 'UTF8', integer_datetimes: 'on' };
  const told = Object.entries(parameters).map(([name, value]) => typed('S', Buffer.from(`${name}\0${value}\0`)));
  return Buffer.concat([
    typed('R', Buffer.alloc(4)),
    ...told,
    typed('K', Buffer.alloc(8)),
    typed('Z', Buffer.from('I')),
  ]);
}

function typed(type: string, body: Buffer): Buffer {
  const head = Buffer.alloc(5);
  head.write(type);
  head.writeInt32BE(4 + body.length, 1);
  return Buffer.concat([head, body]);
}

/** How the server stands after an answer. */
export interface Outcome {
  /** Whether a transaction is open, failed ones included. */
  readonly isWithin: boolean;
  /** What the first error says, if there is any. */
  readonly error: string | undefined;
}

/** Reads an answer as far as it says how the server stands. */
export function outcomeOf(answer: Buffer): Outcome {
  let status: string | undefined;
  let error: string | undefined;
  for (let at = 0; at < answer.length; ) {
    const type = String.fromCharCode(answer[at] ?? 0);
    const end = at + 1 + answer.readInt32BE(at + 1);
    const body = answer.subarray(at + 5, end);
    if (type === 'Z') status = body.toString();
    if (type === 'E')
      error ??= body
        .toString()
        .split('\0')
        .find((field) => field.startsWith('M'))
        ?.slice(1);
    at = end;
  }
  if (status === undefined) throw new Error('the server does not say that it is ready');
  return { isWithin: status !== 'I', error };
}
