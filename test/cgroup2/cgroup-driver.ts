/** Who makes the cgroups of containers: the daemon itself, or systemd for it. */
export const CGROUP_DRIVERS = ['systemd', 'cgroupfs'] as const;

export type CgroupDriver = (typeof CGROUP_DRIVERS)[number];

/** The driver that this run is of, within the guest. */
export function cgroupDriver(): CgroupDriver {
  const driver = CGROUP_DRIVERS.find((each) => each === process.env.CGROUP_DRIVER);
  if (!driver)
    throw new Error(`CGROUP_DRIVER is ${process.env.CGROUP_DRIVER}, allowed are ${CGROUP_DRIVERS.join(', ')}`);
  return driver;
}
