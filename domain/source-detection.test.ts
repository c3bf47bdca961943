import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type BuildWish, detectBuild } from './source-detection.ts';

function detect(files: string[], wish: Partial<BuildWish> = {}, contents: Record<string, string> = {}) {
  return detectBuild({ files, contents }, { builders: [], ...wish });
}

const BUILDS = { 'package.json': '{"scripts":{"build":"vite build"}}' };

describe('how a source is built', () => {
  it.each<[string, string[], Partial<BuildWish>, string, string]>([
    [
      'a Dockerfile before all else',
      ['compose.yaml', 'Dockerfile', 'package.json', 'index.html'],
      { builders: ['nixpacks'] },
      'dockerfile',
      'a Dockerfile at its root; compose.yaml is there too, and taken with --compose',
    ],
    [
      'a Compose file of another name',
      ['compose.yaml', 'Dockerfile', 'compose.production.yaml'],
      { kind: 'compose', composePath: 'compose.production.yaml' },
      'compose',
      'a Compose file asked for by its name, compose.production.yaml',
    ],
    [
      'a Compose file in a folder',
      ['Dockerfile'],
      { kind: 'compose', composePath: 'deploy/compose.yaml' },
      'compose',
      'a Compose file asked for by its name, deploy/compose.yaml',
    ],
    [
      'a Compose file when nothing else is there',
      ['README.md', 'docker-compose.yml'],
      {},
      'compose',
      'the Compose file docker-compose.yml at its root',
    ],
    [
      'a Compose file when asked for',
      ['compose.yaml', 'compose.yml', 'Dockerfile'],
      { kind: 'compose' },
      'compose',
      'the Compose file compose.yaml at its root',
    ],
    [
      'the preferred builder',
      ['go.mod'],
      { builders: ['railpack', 'nixpacks'] },
      'railpack',
      'a Go application (go.mod), which railpack builds',
    ],
    [
      'the other builder when asked for',
      ['requirements.txt'],
      { builders: ['railpack', 'nixpacks'], kind: 'nixpacks' },
      'nixpacks',
      'a Python application (requirements.txt), which nixpacks builds',
    ],
    ['a page', ['index.html', 'style.css'], {}, 'static', 'an index.html at its root'],
    [
      'a page in public/',
      ['public/index.html', 'compose.yml'],
      {},
      'static',
      'an index.html in public/; compose.yml is there too, and taken with --compose',
    ],
    [
      'a language before a page',
      ['package.json', 'index.html'],
      { builders: ['nixpacks'] },
      'nixpacks',
      'a Node.js application (package.json), which nixpacks builds',
    ],
    [
      'a Dockerfile of another name',
      ['Dockerfile', 'Dockerfile.web'],
      { dockerfilePath: 'Dockerfile.web' },
      'dockerfile',
      'a Dockerfile asked for by its name, Dockerfile.web',
    ],
    [
      'a Dockerfile in a folder',
      ['index.html'],
      { dockerfilePath: 'docker/web' },
      'dockerfile',
      'a Dockerfile asked for by its name, docker/web',
    ],
  ])('is by %s', (_, files, wish, kind, reason) => {
    expect(detect(files, wish)).toMatchObject({ kind, reason });
  });

  it('is not by a page that is the input of a build, but by its result', () => {
    expect(() => detect(['package.json', 'index.html'], {}, BUILDS)).toThrow('looked for');
    expect(detect(['package.json', 'index.html', 'dist/index.html'], {}, BUILDS)).toMatchObject({
      file: 'dist/index.html',
    });
    expect(detect(['package.json', 'index.html'], { kind: 'static' }, BUILDS)).toMatchObject({ file: 'index.html' });
    expect(detect(['package.json', 'index.html'], {}, { 'package.json': '{' })).toMatchObject({ kind: 'static' });
    expect(detect(['package.json', 'index.html'], {}, { 'package.json': 'null' })).toMatchObject({ kind: 'static' });
  });

  it.each<[string[], Partial<BuildWish>, string]>([
    [
      [],
      {},
      'looked for a Dockerfile; a page (index.html, public/index.html, dist/index.html); a Compose file (compose.yaml, compose.yml, docker-compose.yaml, docker-compose.yml); found none',
    ],
    [['Dockerfile'], { kind: 'compose' }, 'looked for a Compose file'],
    [['compose.yaml'], { kind: 'compose', composePath: 'other.yaml' }, 'looked for other.yaml; found none'],
    [['dockerfile'], { kind: 'dockerfile' }, 'looked for a Dockerfile; found none'],
    [['Dockerfile'], { dockerfilePath: 'Dockerfile.web' }, 'looked for Dockerfile.web; found none'],
    [['go.mod'], { kind: 'railpack' }, 'cannot be built by railpack: no node has it'],
    [['README.md'], { builders: ['nixpacks'] }, 'a language for nixpacks (package.json, '],
  ])('is refused for %j with %j', (files, wish, message) => {
    const refusal = expect.objectContaining({ code: 'SOURCE_REFUSED', message: expect.stringContaining(message) });
    expect(() => detect(files, wish)).toThrow(refusal);
  });

  it('names the language that nobody builds', () => {
    expect(() => detect(['go.mod'])).toThrow(
      expect.objectContaining({ hint: 'Add a Dockerfile: no builder for Go is installed.' }),
    );
  });

  it('is what was asked for or nothing, and by itself a Compose file only where there is nothing else', () => {
    const names = ['Dockerfile', 'compose.yaml', 'docker-compose.yml', 'index.html', 'package.json', 'stack.yaml'];
    const wishes = fc.constantFrom<Partial<BuildWish>>(
      {},
      { kind: 'compose' },
      { kind: 'compose', composePath: 'stack.yaml' },
      { dockerfilePath: 'Dockerfile' },
    );
    fc.assert(
      fc.property(fc.subarray(names), wishes, (files, wish) => {
        const found = detectOrNothing(files, wish);
        const asked = wish.kind ?? (wish.dockerfilePath === undefined ? undefined : 'dockerfile');
        if (found === undefined) return;
        expect(files).toContain(found.file);
        if (asked !== undefined) expect(found.kind).toBe(asked);
        else if (found.kind === 'compose')
          expect(detectOrNothing(files.filter((file) => file !== found.file))?.kind ?? 'compose').toBe('compose');
        else expect(found.reason.includes('--compose')).toBe(files.some((file) => file.includes('compose')));
        if (wish.composePath !== undefined) expect(found.file).toBe(wish.composePath);
      }),
    );
  });
});

function detectOrNothing(files: string[], wish: Partial<BuildWish> = {}) {
  try {
    return detect(files, wish);
  } catch {
    // Nothing was found.
    return undefined;
  }
}
