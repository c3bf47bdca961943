import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { holds, readDriverOutcome, toTable } from './report.ts';

const guest = { kernel: '6.12', systemd: 'systemd 257', docker: '26.1.5' };
const passed = { fullName: ' disks count', status: 'passed', failureMessages: [], meta: { told: '8 bytes, of 8' } };

describe('the report of a guest', () => {
  let folder: string;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'obiente-report-'));
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  function found(...files: object[]) {
    const testResults = files.map((file) => ({
      name: '/checkout/test/a.suite.ts',
      status: 'passed',
      message: '',
      ...file,
    }));
    writeFileSync(join(folder, 'systemd.json'), JSON.stringify({ testResults }));
    return { guest, drivers: [readDriverOutcome(folder, 'systemd')] };
  }

  it('holds when every test has, and shows what each has found', () => {
    const report = found({ assertionResults: [passed] });
    expect(holds(report)).toBe(true);
    expect(toTable(report)).toContain('holds: 8 bytes, of 8');
    expect(holds({ ...report, guest: undefined })).toBe(false);
  });

  it.each([
    ['failed', [{ ...passed, status: 'failed', failureMessages: ['7 is not 8'] }], '7 is not 8'],
    ['was skipped', [passed, { ...passed, fullName: 'other', status: 'skipped' }], 'BROKEN'],
  ])('does not hold when a test %s', (_, assertionResults, shown) => {
    const report = found({ assertionResults });
    expect(holds(report)).toBe(false);
    expect(toTable(report)).toContain(shown);
  });

  it('does not hold when a file could not be loaded, or a driver has no report', () => {
    const unloaded = found(
      { assertionResults: [passed] },
      { status: 'failed', message: 'no such module', assertionResults: [] },
    );
    expect(holds(unloaded)).toBe(false);
    expect(toTable(unloaded)).toContain('no such module');
    expect(holds({ guest, drivers: [readDriverOutcome(folder, 'cgroupfs')] })).toBe(false);
    expect(holds({ guest, drivers: [] })).toBe(false);
  });
});
