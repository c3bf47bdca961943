/** Bytes for people, rounded down: `4.0 GiB`, `512 MiB`. */
export function describeBytes(bytes: number): string {
  const mebibytes = bytes / 1024 ** 2;
  if (mebibytes >= 1024) return `${(Math.floor((mebibytes / 1024) * 10) / 10).toFixed(1)} GiB`;
  return `${Math.floor(mebibytes)} MiB`;
}

/** Cores for people: `1 core`, `0.25 cores`. */
export function describeCores(cores: number): string {
  const rounded = Math.floor(cores * 100 + 1e-6) / 100;
  return `${rounded} ${rounded === 1 ? 'core' : 'cores'}`;
}
