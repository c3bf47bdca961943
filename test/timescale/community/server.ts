import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { createTurnServer, type OneSession } from './turns.ts';

/** What of the package is used. It is no dependency of the project, so its own types are not there. */
interface Database extends OneSession {
  exec(statement: string): Promise<unknown>;
}
interface Package {
  readonly PGlite: { create(options: { extensions: Record<string, unknown> }): Promise<Database> };
}

/** A process of its own for one database in memory: `node server.ts <the package's folder>`. Tells its port, and ends with its parent. */
const [folder = ''] = process.argv.slice(2);
process.on('disconnect', () => process.exit());
const load = (file: string): Promise<unknown> => import(pathToFileURL(join(folder, 'dist', file)).href);
const { PGlite } = (await load('index.js')) as Package;
const { timescaledb } = (await load('timescaledb/index.js')) as { timescaledb: unknown };
const database = await PGlite.create({ extensions: { timescaledb } });
await database.exec('create extension timescaledb');
// What it remembers of itself is of a moment before its last start, and no right to it could be given. This makes it look again.
await database.exec('alter database template1 connection limit -1');
const server = createTurnServer(database);
server.listen(0, '127.0.0.1');
await once(server, 'listening');
process.send?.({ port: (server.address() as AddressInfo).port });
