import { text } from 'node:stream/consumers';
import type Dockerode from 'dockerode';

/** What a command prints that is run in a container. */
export async function whatPrints(client: Dockerode, containerId: string, command: readonly string[]): Promise<string> {
  const run = { Cmd: [...command], AttachStdout: true, Tty: true };
  const stream = await (await client.getContainer(containerId).exec(run)).start({ Tty: true });
  return (await text(stream)).replaceAll('\r', '');
}
