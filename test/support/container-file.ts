import type Dockerode from 'dockerode';

/** What a container has in a file. */
export async function readFileOf(client: Dockerode, containerId: string, path: string): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of await client.getContainer(containerId).getArchive({ path })) chunks.push(chunk as Buffer);
  // A tar archive of one file: its size is in the header, octal; the content comes after it.
  const archive = Buffer.concat(chunks);
  const size = Number.parseInt(archive.subarray(124, 135).toString(), 8);
  return archive.subarray(512, 512 + size).toString();
}
