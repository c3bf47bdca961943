import { createServer, type Server, type Socket } from 'node:net';
import { outcomeOf, queryMessage, readRequests, type Startup, welcome } from './messages.ts';

/** A server with one session: takes messages of PostgreSQL's protocol, and gives all that it answers to them. */
export interface OneSession {
  execProtocolRaw(messages: Uint8Array): Promise<Uint8Array>;
}

/**
 * Lets any number of connections share a server that has one session, by turns of a transaction each.
 *
 * Whoever's turn it is finds the session as a new one of its own role. So what one connection does is never seen half done
 * by another, nor in the way of it: one that waits for another, which is within a transaction, waits until that has ended.
 * Nobody is asked for a password.
 */
export function createTurnServer(session: OneSession): Server {
  const turns = createTurns();
  return createServer((socket) => {
    serve(socket, session, turns).catch(() => socket.destroy());
  });
}

/** Hands out one turn at a time, in the order in which they were asked for. */
interface Turns {
  /** Resolves when it is the caller's turn. @returns what ends it. */
  take(): Promise<() => void>;
}

function createTurns(): Turns {
  let last = Promise.resolve();
  return {
    take: async () => {
      const { promise, resolve } = Promise.withResolvers<void>();
      const before = last;
      last = promise;
      await before;
      return resolve;
    },
  };
}

async function serve(socket: Socket, session: OneSession, turns: Turns): Promise<void> {
  let client: Startup | undefined;
  let endTurn: (() => void) | undefined;
  // A client that breaks off ends the loop; nothing is left to be told to it.
  socket.on('error', () => undefined);
  try {
    for await (const request of readRequests(socket)) {
      if (request.kind === 'encrypt') socket.write('N');
      else if (request.kind === 'start') {
        client = request;
        socket.write(welcome());
      } else {
        if (!client) throw new Error('a client has not said who it is');
        if (!endTurn) {
          endTurn = await turns.take();
          await become(session, client);
        }
        const answer = Buffer.from(await session.execProtocolRaw(request.messages));
        socket.write(answer);
        if (outcomeOf(answer).isWithin) continue;
        endTurn();
        endTurn = undefined;
      }
    }
  } finally {
    if (endTurn) await session.execProtocolRaw(queryMessage('rollback')).finally(endTurn);
    socket.end();
  }
}

/** Makes the session one of this client. @throws where there is no such role. */
async function become(session: OneSession, { user, role }: Startup): Promise<void> {
  // What it goes back to by itself is where the catalogue lies.
  const whole = ['discard all', 'set search_path to "$user", public', `set session authorization ${quoted(user)}`];
  for (const statement of role === undefined ? whole : [...whole, `set role ${quoted(role)}`]) {
    const answer = await session.execProtocolRaw(queryMessage(statement));
    const { error } = outcomeOf(Buffer.from(answer));
    if (error !== undefined) throw new Error(`${statement}: ${error}`);
  }
}

function quoted(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}
