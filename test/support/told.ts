import type { TaskMeta } from 'vitest';

declare module 'vitest' {
  interface TaskMeta {
    /** What a test found beside that it holds: `8,388,608 bytes, of 8,388,608`. */
    told?: string;
  }
}

/** Puts a read value and what it is held against beside a test's outcome, for reports that show more than a verdict. */
export function tell(task: { readonly meta: TaskMeta }, read: number, truth: number, unit: string): void {
  const toText = (value: number): string => Math.round(value).toLocaleString('en');
  task.meta.told = `${toText(read)} ${unit}, of ${toText(truth)}`;
}
