/** What the kernel has counted for a container since it started. Whole numbers that only rise, until it restarts. */
export interface Counters {
  readonly cpuNanos: number;
  /** Of `cpuNanos`, in the container's own code. Kernels round it to a tick, 10 ms. */
  readonly cpuUserNanos: number;
  /** Of `cpuNanos`, in the kernel on its behalf. */
  readonly cpuSystemNanos: number;
  /** Time in which it wanted to run and its CPU limit did not let it. */
  readonly cpuThrottledNanos: number;
  readonly networkReceiveBytes: number;
  readonly networkTransmitBytes: number;
  readonly networkReceivePackets: number;
  readonly networkTransmitPackets: number;
  readonly diskReadBytes: number;
  readonly diskWriteBytes: number;
  readonly diskReadOperations: number;
  readonly diskWriteOperations: number;
  /** Processes that the kernel killed because the memory limit was reached. Docker does not tell: 0 when read that way. */
  readonly oomKills: number;
}

/** What went through one network interface of a container since it was made. */
export interface InterfaceCounts {
  readonly receiveBytes: number;
  readonly receivePackets: number;
  readonly transmitBytes: number;
  readonly transmitPackets: number;
}

/** A container that runs, as far as measuring it goes. */
export interface MeteredContainer {
  /** Docker's full id, 64 hex digits. */
  readonly id: string;
  /** Its first process, as the host numbers it. */
  readonly pid: number;
  /** RFC 3339 with nanoseconds: what tells one run of a container from the next. */
  readonly startedAt: string;
  readonly deploymentId: string;
  readonly replicaId: string;
}

/** What one look at a container found. */
export interface Reading {
  /** The run of the container that the counters belong to; the next run starts from zero. */
  readonly incarnation: string;
  /** How it was read. Ways differ in how fresh a value is and in which disks they see. */
  readonly source: 'cgroup' | 'docker';
  /** When it was read, by the wall clock. */
  readonly atMs: number;
  /** The same moment by a clock that never jumps, for rates. */
  readonly clockMs: number;
  readonly counters: Counters;
  /** The network counters by interface, loopback left out; their sum falls when one of them goes. */
  readonly interfaces: Readonly<Record<string, InterfaceCounts>>;
  /** Working set: usage less inactive file cache, as `docker stats` and kubelet compute it. */
  readonly memoryBytes: number;
  /** 0 when there is no limit. */
  readonly memoryLimitBytes: number;
  /** File contents kept in memory, active ones included: part of it can be taken back at any time. */
  readonly pageCacheBytes: number;
  readonly pids: number;
}

/** A reading with whose it is: what is kept, streamed and stored. */
export interface Sample extends Omit<Reading, 'interfaces'> {
  /** Number of the round in which it was taken, rising within one streamer. */
  readonly round: number;
  readonly containerId: string;
  readonly deploymentId: string;
  readonly replicaId: string;
  /** When this run of the container began. */
  readonly startedAtMs: number;
  /** CPU used since the sample before, in percent of one core; `null` in the first sample of a run. */
  readonly cpuPercent: number | null;
}
