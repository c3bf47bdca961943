import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { gzipSync } from 'node:zlib';
import { extract, type Header, pack } from 'tar-stream';
import { describe, expect, it } from 'vitest';
import { packSite } from './pack-site.ts';

type Entry = Partial<Header> & { readonly name: string; readonly content?: string };

async function aTar(entries: readonly Entry[]): Promise<Buffer> {
  const archive = pack();
  for (const { content = '', ...header } of entries) archive.entry(header as Header, content);
  archive.finalize();
  return await buffer(archive);
}

/** Content, or `-> target`, by name. */
async function sited(tar: Buffer): Promise<Record<string, string>> {
  const found: Record<string, string> = {};
  const reader = extract();
  packSite(Readable.from([tar], { objectMode: false }), 'FROM x\n').pipe(reader);
  for await (const entry of reader) {
    const content = (await buffer(entry)).toString();
    found[entry.header.name] = entry.header.linkname ? `-> ${entry.header.linkname}` : content;
  }
  return found;
}

describe('a page', () => {
  it('lies in a folder of its own, whatever its files are called', async () => {
    const big = 'x'.repeat(200_000);
    const tar = await aTar([
      { name: 'Dockerfile', content: 'FROM evil' },
      { name: './index.html', content: 'hello' },
      { name: 'a', type: 'directory' },
      { name: `a/${'long'.repeat(40)}.txt`, content: big },
      { name: 'empty', content: '' },
      { name: 'link', type: 'symlink', linkname: 'index.html' },
      { name: 'hard', type: 'link', linkname: 'index.html' },
    ]);
    expect(await sited(tar)).toEqual({
      Dockerfile: 'FROM x\n',
      'site/Dockerfile': 'FROM evil',
      'site/index.html': 'hello',
      'site/a': '',
      [`site/a/${'long'.repeat(40)}.txt`]: big,
      'site/empty': '',
      'site/link': '-> index.html',
      'site/hard': '-> site/index.html',
    });
  });

  it('has nothing that is hidden, nor settings of deployments', async () => {
    const hidden = ['.env', '.dockerignore', 'obiente.yaml', 'a/.git/config', 'a/.DS_Store', '.aws/credentials'];
    const shown = ['.well-known/security.txt', 'a/obiente.yaml', 'b..c'];
    const tar = await aTar([...hidden, ...shown].map((name) => ({ name, content: 'x' })));
    expect(Object.keys(await sited(tar))).toEqual(['Dockerfile', ...shown.map((name) => `site/${name}`)]);
  });

  it('is refused in words when its archive is compressed, cut short or none', async () => {
    const tar = await aTar([{ name: 'index.html', content: 'x'.repeat(4096) }]);
    for (const broken of [gzipSync(tar), tar.subarray(0, 2048), Buffer.alloc(1024, 'nonsense')]) {
      const failing = buffer(packSite(Readable.from([broken], { objectMode: false }), 'FROM x\n'));
      await expect(failing).rejects.toMatchObject({ code: 'SOURCE_REFUSED' });
    }
    const away = new Error('the control plane went away');
    const broken = Readable.from(
      (async function* () {
        yield tar.subarray(0, 600);
        throw away;
      })(),
      { objectMode: false },
    );
    await expect(buffer(packSite(broken, 'FROM x\n'))).rejects.toBe(away);
  });
});
