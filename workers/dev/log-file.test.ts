import { appendFileSync, closeSync, mkdtempSync, readdirSync, readFileSync, writeSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createLogFile } from './log-file.ts';

describe('createLogFile', () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'obiente-log-'));
  });
  afterEach(() => rm(folder, { recursive: true }));

  it('turns over under a writer that has it open, and keeps 3', () => {
    const log = createLogFile(join(folder, 'api.log'), 10);
    const file = log.open();
    for (let number = 1; number <= 6; number += 1) {
      writeSync(file, `${number}`.repeat(11));
      log.rotate();
    }
    writeSync(file, 'end');
    closeSync(file);
    expect(readdirSync(folder).sort()).toEqual(['api.log', 'api.log.1', 'api.log.2', 'api.log.3']);
    expect(readFileSync(join(folder, 'api.log'), 'utf8')).toBe('end');
    expect(readFileSync(join(folder, 'api.log.1'), 'utf8')).toBe('6'.repeat(11));
    expect(readFileSync(join(folder, 'api.log.3'), 'utf8')).toBe('4'.repeat(11));
  });

  it('gives the last lines, of a large file too, and none of a missing one', () => {
    const log = createLogFile(join(folder, 'api.log'));
    expect(log.tail(2)).toEqual([]);
    appendFileSync(log.path, `${'x'.repeat(100_000)}\none\ntwo\n`);
    expect(log.tail(2)).toEqual(['one', 'two']);
  });
});
