import { randomUUID } from 'node:crypto';
import type { Readable } from 'node:stream';
import { finished } from 'node:stream/promises';
import { type TestDocker, tarOf } from '../support/docker.ts';

/** Gives a name to an image that has never been before, which does what the test image does. */
export async function moveTag({ client, image }: TestDocker, name: string): Promise<void> {
  const context = tarOf({ Dockerfile: `FROM ${image}\nLABEL moved=${randomUUID()}\n` });
  const built = (await client.buildImage(context, { t: name, rm: true })) as Readable;
  await finished(built.resume());
}
