import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { findCgroupVersion } from '../../adapters/cgroup/cgroup-source.ts';
import { readByKernel } from '../support/kernel-reader.ts';
import { startReplica } from '../support/metered.ts';
import { useTestDocker } from '../support/test-docker.ts';
import { cgroupDriver } from './cgroup-driver.ts';

/** That the rest of the run is of what it says it is of. */
describe('a guest whose daemon has one of the two drivers', () => {
  const docker = useTestDocker();

  it('has cgroups of version 2, and no others', async () => {
    expect(findCgroupVersion()).toBe(2);
    expect(readFileSync('/proc/self/mountinfo', 'utf8')).not.toContain(' - cgroup ');
    const { CgroupDriver, CgroupVersion } = (await docker.corner.client.info()) as Record<string, unknown>;
    expect({ CgroupDriver, CgroupVersion }).toEqual({ CgroupDriver: cgroupDriver(), CgroupVersion: '2' });
  });

  it('has a container’s files where that driver puts them', async () => {
    const id = await startReplica(docker.corner, { replicaId: 'r1-0', command: ['sleep', '3600'] });
    const { container, close } = await readByKernel(docker.corner, id);
    const folder = { systemd: `/system.slice/docker-${id}.scope`, cgroupfs: `/docker/${id}` }[cgroupDriver()];
    expect(readFileSync(`/proc/${container.pid}/cgroup`, 'utf8')).toBe(`0::${folder}\n`);
    close();
  });
});
