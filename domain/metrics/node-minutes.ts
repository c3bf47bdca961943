/** What a host has counted since it was booted. Whole numbers that only rise; `null` what this kernel does not count. */
export interface NodeCounters {
  /** Time in which cores were not idle, summed over all of them; time that a hypervisor took away included. */
  readonly cpuBusyNanos: number;
  /** Time that all cores together had. */
  readonly cpuTotalNanos: number;
  /** Time in which some process waited for the resource (PSI). */
  readonly pressureCpuMicros: number | null;
  readonly pressureMemoryMicros: number | null;
  readonly pressureIoMicros: number | null;
}

/** What one look at a host found. */
export interface NodeReading {
  /** The boot that the counters belong to. */
  readonly incarnation: string;
  /** When it was read, by the wall clock. */
  readonly atMs: number;
  readonly counters: NodeCounters;
  /** Total less what the kernel could give to a new process. */
  readonly memoryUsedBytes: number;
  readonly memoryTotalBytes: number;
  /** Of the file system that holds Docker's data; used is what nobody can write any more. Both 0 while unknown. */
  readonly diskUsedBytes: number;
  readonly diskTotalBytes: number;
  /** Load over one minute, in hundredths. */
  readonly load1Hundredths: number;
}

/** A reading as it is shown live. */
export interface NodeSample extends NodeReading {
  /** Number of the round in which it was taken. */
  readonly round: number;
  /** CPU used since the sample before, in percent of all cores together; `null` in the first sample. */
  readonly cpuPercent: number | null;
}

/** What a whole host used in one minute: all processes, those outside containers included. */
export interface NodeMinuteRow extends NodeCounters {
  readonly nodeId: string;
  /** Start of the minute, milliseconds since 1970. */
  readonly minuteMs: number;
  /** Average of the samples. */
  readonly memoryUsedBytes: number;
  readonly memoryTotalBytes: number;
  /** As the last sample showed it. */
  readonly diskUsedBytes: number;
  readonly diskTotalBytes: number;
  /** Average of the samples. */
  readonly load1Hundredths: number;
  /** Readings in this minute; 0 never happens. */
  readonly samples: number;
}

/** A host's open minute, and the reading from which the next difference is taken. Plain data: it is kept in a file. */
export interface OpenNodeMinute {
  readonly minuteMs: number;
  readonly last: NodeReading;
  readonly used: NodeCounters;
  readonly memorySumBytes: number;
  readonly loadSumHundredths: number;
  readonly samples: number;
}

const NOTHING_YET = {
  used: {
    cpuBusyNanos: 0,
    cpuTotalNanos: 0,
    pressureCpuMicros: null,
    pressureMemoryMicros: null,
    pressureIoMicros: null,
  },
  memorySumBytes: 0,
  loadSumHundredths: 0,
  samples: 0,
} as const satisfies Partial<OpenNodeMinute>;

/**
 * Adds a reading to the host's open minute, and closes that minute when the reading lies in a later one.
 *
 * As with containers, what was used between two readings belongs to the minute of the second, and a closed minute is
 * never opened again. The very first reading adds nothing; after a boot everything counted since is new.
 */
export function addNodeReading(
  open: OpenNodeMinute | undefined,
  reading: NodeReading,
  rules: { readonly minuteMs: number },
): { readonly open: OpenNodeMinute; readonly row: Omit<NodeMinuteRow, 'nodeId'> | null } {
  const used = open ? usedBetween(open.last, reading) : nodeUse(reading.counters, reading.counters);
  const minuteMs = Math.max(Math.floor(reading.atMs / rules.minuteMs) * rules.minuteMs, open?.minuteMs ?? 0);
  const isSame = open?.minuteMs === minuteMs;
  const sums = isSame ? open : NOTHING_YET;
  return {
    open: {
      minuteMs,
      last: reading,
      used: addNodeUse(sums.used, used),
      memorySumBytes: sums.memorySumBytes + reading.memoryUsedBytes,
      loadSumHundredths: sums.loadSumHundredths + reading.load1Hundredths,
      samples: sums.samples + 1,
    },
    row: open && !isSame ? toNodeRow(open) : null,
  };
}

/** Closes an open minute that is over at `nowMs`; the reading stays. @returns `row: null` while it lasts, or when it is empty. */
export function closeNodeMinute(
  open: OpenNodeMinute,
  nowMs: number,
  rules: { readonly minuteMs: number },
): ReturnType<typeof addNodeReading> {
  const minuteMs = Math.floor(nowMs / rules.minuteMs) * rules.minuteMs;
  if (minuteMs <= open.minuteMs) return { open, row: null };
  return { open: { ...NOTHING_YET, minuteMs, last: open.last }, row: toNodeRow(open) };
}

/** CPU used between two readings, in percent of all cores together; `null` when there is no rate. */
export function nodeCpuPercent(previous: NodeReading | undefined, current: NodeReading): number | null {
  if (previous?.incarnation !== current.incarnation) return null;
  const { cpuBusyNanos, cpuTotalNanos } = nodeUse(previous.counters, current.counters);
  return cpuTotalNanos > 0 ? (100 * cpuBusyNanos) / cpuTotalNanos : null;
}

function usedBetween(last: NodeReading, reading: NodeReading): NodeCounters {
  return last.incarnation === reading.incarnation ? nodeUse(last.counters, reading.counters) : reading.counters;
}

/** A counter that fell adds nothing: kernels correct the time they waited for disks downwards. */
function nodeUse(before: NodeCounters, now: NodeCounters): NodeCounters {
  return combine(before, now, (earlier, later) =>
    earlier === null || later === null ? null : Math.max(0, later - earlier),
  );
}

/** What was not known for one part of a minute is taken for nothing as long as it is for another. */
function addNodeUse(a: NodeCounters, b: NodeCounters): NodeCounters {
  return combine(a, b, (one, other) => (one === null && other === null ? null : (one ?? 0) + (other ?? 0)));
}

function combine(
  a: NodeCounters,
  b: NodeCounters,
  of: (a: number | null, b: number | null) => number | null,
): NodeCounters {
  return {
    cpuBusyNanos: of(a.cpuBusyNanos, b.cpuBusyNanos) ?? 0,
    cpuTotalNanos: of(a.cpuTotalNanos, b.cpuTotalNanos) ?? 0,
    pressureCpuMicros: of(a.pressureCpuMicros, b.pressureCpuMicros),
    pressureMemoryMicros: of(a.pressureMemoryMicros, b.pressureMemoryMicros),
    pressureIoMicros: of(a.pressureIoMicros, b.pressureIoMicros),
  };
}

function toNodeRow(open: OpenNodeMinute): Omit<NodeMinuteRow, 'nodeId'> | null {
  if (open.samples === 0) return null;
  const { memoryTotalBytes, diskUsedBytes, diskTotalBytes } = open.last;
  return {
    ...open.used,
    minuteMs: open.minuteMs,
    memoryUsedBytes: Math.round(open.memorySumBytes / open.samples),
    memoryTotalBytes,
    diskUsedBytes,
    diskTotalBytes,
    load1Hundredths: Math.round(open.loadSumHundredths / open.samples),
    samples: open.samples,
  };
}
