import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import Table from 'cli-table3';
import type { GuestFacts } from './shares.ts';

/** One test of a suite, as it went with one driver. */
export interface TestOutcome {
  /** The file and the sentence that it holds. */
  readonly name: string;
  readonly holds: boolean;
  /** What was read and what it was held against, where the test says so. */
  readonly told?: string;
  readonly failures: readonly string[];
}

/** All tests with one driver. Without any nothing holds. */
export interface DriverOutcome {
  readonly driver: string;
  readonly tests: readonly TestOutcome[];
}

/** `.obiente/reports/cgroup2.json`. */
export interface Cgroup2Report {
  /** `undefined` where the guest did not come to its end. */
  readonly guest?: GuestFacts | undefined;
  readonly drivers: readonly DriverOutcome[];
}

/** Whether the guest came to its end, and every test has held with every driver; one that was skipped has not. */
export function holds({ guest, drivers }: Cgroup2Report): boolean {
  return (
    guest !== undefined &&
    drivers.length > 0 &&
    drivers.every(({ tests }) => tests.length > 0 && tests.every((test) => test.holds))
  );
}

/** Part of the report that vitest writes as JSON. */
interface VitestReport {
  readonly testResults: readonly {
    readonly name: string;
    readonly status: string;
    readonly message: string;
    readonly assertionResults: readonly {
      readonly fullName: string;
      readonly status: string;
      readonly failureMessages: readonly string[];
      readonly meta?: { readonly told?: string };
    }[];
  }[];
}

/** Reads what vitest has found with a driver; a file of tests that could not be loaded, or clean up, is an outcome too. */
export function readDriverOutcome(folder: string, driver: string): DriverOutcome {
  const file = join(folder, `${driver}.json`);
  if (!existsSync(file)) return { driver, tests: [] };
  const { testResults } = JSON.parse(readFileSync(file, 'utf8')) as VitestReport;
  return { driver, tests: testResults.flatMap(toOutcomes) };
}

function toOutcomes({ name, status, message, assertionResults }: VitestReport['testResults'][number]): TestOutcome[] {
  const tests = assertionResults.map(({ fullName, status: outcome, failureMessages, meta }) => ({
    ...{ name: fullName.trim(), holds: outcome === 'passed', failures: failureMessages },
    ...(meta?.told === undefined ? {} : { told: meta.told }),
  }));
  if (status === 'passed' || tests.some((test) => !test.holds)) return tests;
  return [...tests, { name: name.split('/').slice(-3).join('/'), holds: false, failures: [message] }];
}

/** The drivers side by side, and below them all that went wrong. */
export function toTable({ drivers }: Cgroup2Report): string {
  const table = new Table({
    ...{ head: ['what', ...drivers.map(({ driver }) => driver)], colWidths: [70, ...drivers.map(() => 36)] },
    ...{ style: { head: [], border: [] }, wordWrap: true },
  });
  for (const name of new Set(drivers.flatMap(({ tests }) => tests.map((test) => test.name)))) {
    table.push([name, ...drivers.map(({ tests }) => toText(tests.find((test) => test.name === name)))]);
  }
  const failures = drivers.flatMap(({ driver, tests }) =>
    tests.flatMap((test) => test.failures.map((failure) => `${driver}: ${test.name}: ${failure}`)),
  );
  return [table.toString(), ...failures, ''].join('\n');
}

function toText(test: TestOutcome | undefined): string {
  if (!test) return 'not reached';
  const verdict = test.holds ? 'holds' : 'BROKEN';
  return test.told === undefined ? verdict : `${verdict}: ${test.told}`;
}
