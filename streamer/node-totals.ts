import {
  addNodeReading,
  closeNodeMinute,
  type NodeMinuteRow,
  type NodeSample,
  nodeCpuPercent,
  type OpenNodeMinute,
} from '../domain/metrics/node-minutes.ts';
import type { NodeSource } from './ports.ts';

/** What the whole host uses. */
export interface NodeTotals {
  /** Reads the host once, in a round. @returns rows of minutes that are over. */
  read(round: number, nowMs: number): readonly NodeMinuteRow[];
  /** The newest sample; `undefined` before the first round, and where the host cannot be read. */
  latest(): NodeSample | undefined;
  /** What to keep for the next process. */
  state(): OpenNodeMinute | undefined;
  close(): void;
}

/** Creates the stage that watches the host. Where it cannot be read there are no rows, and the rest goes on. */
export function createNodeTotals(options: {
  readonly source: NodeSource | undefined;
  /** This node's id, which exists before the first round. */
  readonly nodeId: () => string;
  readonly minuteMs: number;
  readonly restored: OpenNodeMinute | undefined;
}): NodeTotals {
  let [open, newest]: [OpenNodeMinute | undefined, NodeSample | undefined] = [options.restored, undefined];

  const toRows = (found: readonly (Omit<NodeMinuteRow, 'nodeId'> | null)[]): readonly NodeMinuteRow[] =>
    found.filter((row) => row !== null).map((row) => ({ nodeId: options.nodeId(), ...row }));

  return {
    read: (round, nowMs) => {
      const reading = options.source?.read();
      if (!reading) return [];
      newest = { ...reading, round, cpuPercent: nodeCpuPercent(newest, reading) };
      const added = addNodeReading(open, reading, options);
      const closed = closeNodeMinute(added.open, nowMs, options);
      open = closed.open;
      return toRows([added.row, closed.row]);
    },
    latest: () => newest,
    state: () => open,
    close: () => options.source?.close(),
  };
}
