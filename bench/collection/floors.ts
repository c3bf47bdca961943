import { closeSync, openSync, readFileSync, readSync } from 'node:fs';
import { Agent, get } from 'node:http';
import { findFolders, parseMountInfo } from '../../adapters/cgroup/hierarchies.ts';
import type { MeteredContainer } from '../../domain/metrics/reading.ts';
import { DOCKER_SOCKET } from '../../test/support/docker.ts';
import type { Containers } from './containers.ts';

/** What cannot be done with less: reading the same files through descriptors that stay open, and looking at none of it. */
export interface BareFiles {
  readAll(): void;
  /** Reads one after the other. */
  readonly files: number;
  close(): void;
}

/** Opens the files that the streamer reads of these containers. */
export function openBareFiles(containers: Containers): BareFiles {
  const descriptors = [...containers.values()].flatMap(pathsOf).map((path) => openSync(path, 'r'));
  const buffer = Buffer.alloc(64 * 1024);
  return {
    files: descriptors.length,
    readAll: () => {
      for (const descriptor of descriptors) readSync(descriptor, buffer, 0, buffer.length, 0);
    },
    close: () => {
      for (const descriptor of descriptors) closeSync(descriptor);
    },
  };
}

/** The files of one container; what the streamer opens, by the same rules. */
export function pathsOf({ id, pid }: MeteredContainer): string[] {
  const hierarchies = parseMountInfo(readFileSync('/proc/self/mountinfo', 'utf8'));
  const folders = findFolders(hierarchies, readFileSync(`/proc/${pid}/cgroup`, 'utf8'), id);
  if (!folders) throw new Error('the counter files of a container were not found');
  const network = `/proc/${pid}/net/dev`;
  if (folders.version === 2) {
    const names = [
      'cpu.stat',
      'memory.current',
      'memory.stat',
      'memory.max',
      'memory.events',
      'io.stat',
      'pids.current',
    ];
    return [...names.map((name) => `${folders.unified}/${name}`), network];
  }
  const memory = ['usage_in_bytes', 'stat', 'limit_in_bytes', 'oom_control'];
  return [
    ...['usage', 'stat'].map((name) => `${folders.cpuacct}/cpuacct.${name}`),
    ...(folders.cpu === undefined ? [] : [`${folders.cpu}/cpu.stat`]),
    ...memory.map((name) => `${folders.memory}/memory.${name}`),
    ...['io_service_bytes', 'io_serviced'].map((name) => `${folders.blkio}/blkio.throttle.${name}_recursive`),
    `${folders.pids}/pids.current`,
    network,
  ];
}

const AT_ONCE = 50;

/** Docker's one-shot answer for each container, fifty at a time: bare HTTP, parsed and looked at no further. */
export function createBarePool(): { readAll(containers: Containers): Promise<void>; close(): void } {
  const agent = new Agent({ keepAlive: true, maxSockets: AT_ONCE, maxFreeSockets: AT_ONCE });
  const readOne = (id: string): Promise<void> =>
    new Promise((resolve, reject) => {
      const path = `/containers/${id}/stats?stream=false&one-shot=true`;
      get({ socketPath: DOCKER_SOCKET, path, agent }, (answer) => {
        const pieces: Buffer[] = [];
        answer.on('data', (piece: Buffer) => pieces.push(piece));
        answer.once('error', reject);
        answer.once('end', () => {
          JSON.parse(Buffer.concat(pieces).toString());
          resolve();
        });
      }).once('error', reject);
    });
  return {
    readAll: async (containers) => void (await Promise.all([...containers.keys()].map(readOne))),
    close: () => agent.destroy(),
  };
}
