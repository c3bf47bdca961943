/** What a whole host used in one minute: all processes, those outside containers included. */
export interface NodeMinuteRow {
  readonly nodeId: string;
  /** Start of the minute, milliseconds since 1970. */
  readonly minuteMs: number;
  /** Time in which cores were busy, summed over all of them. */
  readonly cpuBusyNanos: number;
  /** Time that all cores together had: the busy time of a host that does nothing else. */
  readonly cpuTotalNanos: number;
  /** Average of the samples: total less what the kernel could give to a new process. */
  readonly memoryUsedBytes: number;
  readonly memoryTotalBytes: number;
  /** Of the file system that holds Docker's data, as the last sample showed it. */
  readonly diskUsedBytes: number;
  readonly diskTotalBytes: number;
  /** Average of the samples of the load over one minute, in hundredths. */
  readonly load1Hundredths: number;
  /** Time in which some process waited for the resource (PSI); `null` where the kernel does not count it. */
  readonly pressureCpuMicros: number | null;
  readonly pressureMemoryMicros: number | null;
  readonly pressureIoMicros: number | null;
  /** Readings in this minute; 0 never happens. */
  readonly samples: number;
}
