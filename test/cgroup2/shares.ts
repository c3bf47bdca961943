/** Folders of this machine that the guest sees, by the tag under which QEMU hands them in, and where it mounts them. */
export const SHARES = { checkout: '/checkout', results: '/results' } as const;

/** Written to the results once every suite has run: without it the guest has ended before. */
export const FACTS_FILE = 'facts.json';

/** What a guest says of itself. */
export interface GuestFacts {
  readonly kernel: string;
  readonly systemd: string;
  readonly docker: string;
}
