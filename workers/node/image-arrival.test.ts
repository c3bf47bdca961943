import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { createServer, type Http2Server } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import type { ServiceImpl } from '@connectrpc/connect';
import { connectNodeAdapter } from '@connectrpc/connect-node';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { CarriedArchive } from '../../adapters/docker/carried-images.ts';
import { createArrivingFiles } from '../../adapters/files/arriving-files.ts';
import { createLog } from '../../adapters/logging/log.ts';
import { createErrorInterceptor } from '../../api/interceptors/errors.ts';
import { DomainError } from '../../domain/errors.ts';
import { NodeGatewayService } from '../../gen/obiente/internal/v1/gateways_pb.ts';
import { createImageArrival } from './image-arrival.ts';
import { createImageExport, imageClaimKey } from './image-export.ts';

const IMAGE = { deploymentId: '0193a0e7-0000-7000-8000-000000000001', imageId: `sha256:${'a'.repeat(64)}` };
const WANTED = { ...IMAGE, revision: 1, service: 'app', tag: 'obiente/app:1' };
const LAYERS = ['b', 'c', 'd'].map((digit) => `sha256:${digit.repeat(64)}`);
const ARCHIVE = randomBytes(600_000);

type Gateway = Partial<ServiceImpl<typeof NodeGatewayService>>;

let folder: string;
const servers: Http2Server[] = [];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'obiente-arriving-'));
});
afterEach(async () => {
  for (const server of servers.splice(0)) server.close();
  await rm(folder, { recursive: true, force: true });
});

/** Another node, whose gateway answers like this. */
async function aSender(gateway: Gateway) {
  const handler = connectNodeAdapter({
    routes: (router) => router.service(NodeGatewayService, gateway),
    interceptors: [
      createErrorInterceptor(createLog({ role: 'node', level: 'silent' })),
      (next) => async (request) => {
        request.contextValues.set(imageClaimKey, IMAGE);
        return await next(request);
      },
    ],
  });
  const server = createServer(handler).listen(0, '127.0.0.1');
  servers.push(server);
  await once(server, 'listening');
  return { nodeId: 'n', gatewayUrl: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, token: 't' };
}

/** A gateway that sends whatever is asked for, and writes down what that was. */
function recording(send: (request: { skip: number; from: number }) => AsyncIterable<Uint8Array>) {
  const asked: { skip: number; from: number }[] = [];
  const gateway: Gateway = {
    describeImage: () => ({ layers: [...LAYERS] }),
    exportImage: async function* ({ skipLayers, fromByte }) {
      const request = { skip: skipLayers, from: Number(fromByte) };
      asked.push(request);
      for await (const chunk of send(request)) yield { chunk };
    },
  };
  return { asked, gateway };
}

/** This node, whose daemon has two of the layers and loads what `fits` says. */
function aReceiver(fits: (archive: Buffer, skip: number) => boolean) {
  const arrive = createImageArrival({
    files: createArrivingFiles(folder, { minFreePercent: 0, freePercent: () => undefined }),
    docker: {
      countPresentLayers: async () => 2,
      loadImage: async (_of, { chunks, skip = 0 }: CarriedArchive) => {
        if (fits(await buffer(chunks), skip)) return { imageId: IMAGE.imageId, digest: IMAGE.imageId };
        throw new DomainError('IMAGE_UNAVAILABLE', 'it does not load');
      },
    },
  });
  return { arrive: (from: Parameters<typeof arrive>[0]) => arrive(from, { ...WANTED, ...quiet() }) };
}

const quiet = () => ({ signal: new AbortController().signal, onBytes: () => undefined });

async function* all(bytes: Buffer): AsyncGenerator<Uint8Array> {
  for (let from = 0; from < bytes.length; from += 50_000) yield bytes.subarray(from, from + 50_000);
}

/** A gateway that sends this archive as a node does, and breaks off after so many bytes the first time. */
function exporting(archive: Buffer, breaksAfter = Number.POSITIVE_INFINITY) {
  const sent = createImageExport({ describeLayers: async () => LAYERS, exportImage: () => all(archive) as never });
  let left = breaksAfter;
  let bytes = 0;
  const gateway: Gateway = {
    describeImage: (request, context) => sent.describe(request, context),
    exportImage: async function* (request, context) {
      for await (const { chunk } of sent.stream(request, context)) {
        if (left <= 0) {
          left = Number.POSITIVE_INFINITY;
          throw new DomainError('NODE_UNAVAILABLE', 'broken');
        }
        left -= chunk.length;
        bytes += chunk.length;
        yield { chunk };
      }
    },
  };
  return { gateway, bytes: () => bytes };
}

describe('an image on its way', () => {
  it('goes on with the byte at which it broke off', async () => {
    const { gateway, bytes } = exporting(ARCHIVE, 330_000);
    const holder = await aSender(gateway);
    const { arrive } = aReceiver((archive) => archive.equals(ARCHIVE));
    await expect(arrive(holder)).rejects.toMatchObject({ code: 'NODE_UNAVAILABLE' });
    await arrive(holder);
    expect(bytes()).toBe(ARCHIVE.length);
    expect(await readdir(folder)).toEqual([]);
  });

  it.each([
    ['another archive', randomBytes(600_000)],
    ['a shorter one', randomBytes(100_000)],
  ])('begins anew where the other node has %s', async (_, other) => {
    const { arrive } = aReceiver((archive) => archive.equals(other));
    await expect(arrive(await aSender(exporting(ARCHIVE, 330_000).gateway))).rejects.toThrow();
    expect(await readdir(folder)).toHaveLength(1);
    const { gateway, bytes } = exporting(other);
    await arrive(await aSender(gateway));
    expect(bytes()).toBe(other.length);
    expect(await readdir(folder)).toEqual([]);
  });

  it('comes whole from a node that cannot say what it consists of, whatever is there of it', async () => {
    const { asked, gateway } = recording(() => all(ARCHIVE));
    const { arrive } = aReceiver((archive, skip) => archive.equals(ARCHIVE) && skip === 0);
    const { exportImage } = gateway;
    const older = await aSender(exportImage ? { exportImage } : {});
    const files = createArrivingFiles(folder, { minFreePercent: 0, freePercent: () => undefined });
    const name = `${'a'.repeat(64)}-0`;
    await files.append(name, all(ARCHIVE.subarray(0, 1_000)), { group: name, ...quiet() });
    await arrive(older);
    expect(asked).toEqual([{ skip: 0, from: 0 }]);
  });

  it('comes with all of its layers when it does not load without', async () => {
    const { asked, gateway } = recording(() => all(ARCHIVE));
    await aReceiver((_archive, skip) => skip === 0).arrive(await aSender(gateway));
    expect(asked).toEqual([2, 0].map((skip) => ({ skip, from: 0 })));
    expect(await readdir(folder)).toEqual([]);
  });

  it('is given up when it never fits, and nothing of it stays', async () => {
    const { asked, gateway } = recording(() => all(ARCHIVE));
    const holder = await aSender(gateway);
    await expect(aReceiver(() => false).arrive(holder)).rejects.toMatchObject({ code: 'IMAGE_UNAVAILABLE' });
    expect(asked).toHaveLength(2);
    expect(await readdir(folder)).toEqual([]);
  });

  it('leaves nothing where there is no room to load it, and is not sent again for that', async () => {
    const { asked, gateway } = recording(() => all(ARCHIVE));
    const full = new DomainError('INSUFFICIENT_CAPACITY', 'docker answered "no space left on device"');
    const { arrive } = aReceiver(() => {
      throw full;
    });
    await expect(arrive(await aSender(gateway))).rejects.toBe(full);
    expect(asked).toHaveLength(1);
    expect(await readdir(folder)).toEqual([]);
  });

  it('keeps what has come when the daemon here is away, and has nothing sent again', async () => {
    const { gateway, bytes } = exporting(ARCHIVE);
    const holder = await aSender(gateway);
    const { arrive } = aReceiver(() => {
      throw new DomainError('DOCKER_UNAVAILABLE', 'the daemon is away');
    });
    await expect(arrive(holder)).rejects.toMatchObject({ code: 'DOCKER_UNAVAILABLE' });
    await aReceiver((archive) => archive.equals(ARCHIVE)).arrive(holder);
    expect(bytes()).toBe(ARCHIVE.length);
  });
});
