import { describe, expect, it } from 'vitest';
import type { PresentImage } from '../domain/container.ts';
import { DomainError } from '../domain/errors.ts';
import { builtImageTag } from '../domain/naming.ts';
import { type BuiltImagePorts, createEnsureBuiltImage, type ImageSources } from './built-images.ts';

const WANTED = { deploymentId: 'd', revision: 3, service: 'app', imageId: `sha256:${'a'.repeat(64)}` };
const IMAGE: PresentImage = { imageId: WANTED.imageId, digest: WANTED.imageId };
const REFERENCE = `registry.test/builds/d@sha256:${'b'.repeat(64)}`;

const holder = (nodeId: string) => ({ nodeId, gatewayUrl: `http://${nodeId}`, token: `token of ${nodeId}` });
const silent = (nodeId: string) => ({ nodeId, gatewayUrl: '', token: '' });

/** A node without the image; `fails` says what asking somebody for it ends with. */
function aNode(sources: ImageSources, fails: Readonly<Record<string, unknown>> = {}) {
  const asked: string[] = [];
  const tags = new Set<string>();
  let isHere = false;
  const get = async (from: string, tag: string): Promise<PresentImage> => {
    asked.push(from);
    await Promise.resolve();
    if (from in fails) throw fails[from];
    isHere = true;
    tags.add(tag);
    return IMAGE;
  };
  let last: Promise<unknown> = Promise.resolve();
  const ports: BuiltImagePorts = {
    instance: 'test',
    findBuiltImage: async () => (isHere ? IMAGE : undefined),
    fetchImageSources: async () => sources,
    canPull: (reference) => reference.startsWith('registry.test/'),
    pullBuiltImage: ({ reference, tag }) => get(reference, tag),
    loadFrom: ({ nodeId }, { tag }) => get(nodeId, tag),
    inTurn: (_, task) => {
      const answer = last.then(task);
      last = answer.catch(() => undefined);
      return answer;
    },
  };
  const ensure = createEnsureBuiltImage(ports);
  const aborting = new AbortController();
  const run = () => ensure(WANTED, { signal: aborting.signal, onProgress: () => undefined });
  return { run, asked, tags, abort: () => aborting.abort(new Error('cancelled')) };
}

const away = (nodeId: string) => new DomainError('NODE_UNAVAILABLE', `node ${nodeId} does not send the image`);
const gone = (nodeId: string) => new DomainError('NOT_FOUND', `node ${nodeId} does not have it any more`);

describe('an image that was built', () => {
  it('is carried from its builder once, however many replicas want it', async () => {
    const { run, asked, tags } = aNode({ reference: '', holders: [holder('node-a'), holder('node-b')] });
    expect(await Promise.all([run(), run(), run()])).toEqual([IMAGE, IMAGE, IMAGE]);
    expect(await run()).toEqual(IMAGE);
    expect(asked).toEqual(['node-a']);
    expect([...tags]).toEqual([builtImageTag('test', WANTED)]);
  });

  it('is pulled where it was pushed to, and carried when that registry does not give it', async () => {
    const sources = { reference: REFERENCE, holders: [holder('node-a')] };
    const pulling = aNode(sources);
    await pulling.run();
    expect(pulling.asked).toEqual([REFERENCE]);
    const refused = aNode(sources, { [REFERENCE]: new DomainError('IMAGE_UNAVAILABLE', 'unauthorized') });
    await refused.run();
    expect(refused.asked).toEqual([REFERENCE, 'node-a']);
  });

  it('is not pulled from a registry that is not the one of this node', async () => {
    const { run, asked } = aNode({ reference: 'elsewhere.test/x@sha256:0', holders: [holder('node-a')] });
    await run();
    expect(asked).toEqual(['node-a']);
  });

  it('comes from the next node when one has lost it or is away', async () => {
    const holders = [silent('node-a'), holder('node-b'), holder('node-c'), holder('node-d')];
    const fails = { 'node-b': gone('node-b'), 'node-c': away('node-c') };
    const { run, asked } = aNode({ reference: '', holders }, fails);
    await run();
    expect(asked).toEqual(['node-b', 'node-c', 'node-d']);
  });

  it('may come later from a node that is away for now', async () => {
    const holders = [holder('node-a'), holder('node-b')];
    const { run } = aNode({ reference: '', holders }, { 'node-a': away('node-a'), 'node-b': gone('node-b') });
    await expect(run()).rejects.toMatchObject({ code: 'NODE_UNAVAILABLE' });
  });

  it('is given up when nobody has it, with what each said', async () => {
    const holders = [silent('node-a'), holder('node-b')];
    const { run } = aNode({ reference: '', holders }, { 'node-b': gone('node-b') });
    await expect(run()).rejects.toMatchObject({
      code: 'IMAGE_UNAVAILABLE',
      message:
        'cannot get the image that was built for revision 3: node-a has it and does not answer; node node-b does not have it any more',
      hint: 'Bring that node back, or deploy the source again, which builds it anew.',
    });
    const nobody = aNode({ reference: '', holders: [] });
    await expect(nobody.run()).rejects.toThrow('no node has it any more');
  });

  it('is asked of nobody any more after a cancel', async () => {
    const { run, asked, abort } = aNode({ reference: '', holders: [holder('node-a')] });
    abort();
    await expect(run()).rejects.toThrow('cancelled');
    expect(asked).toEqual([]);
  });

  it('is asked of nobody else where the disk has no room for it', async () => {
    const full = new DomainError('INSUFFICIENT_CAPACITY', 'this node cannot take the image');
    const { run, asked } = aNode({ reference: '', holders: [holder('node-a'), holder('node-b')] }, { 'node-a': full });
    await expect(run()).rejects.toBe(full);
    expect(asked).toEqual(['node-a']);
  });
});
