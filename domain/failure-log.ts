/**
 * What is kept of the log of a replica that its rollout gave up, and of how many such replicas of a deployment: enough to
 * see why it failed, and little enough that a deployment which fails every minute fills no disk.
 */
export const KEPT_FAILURE_LOG = { lines: 500, bytes: 128 * 1024, perDeployment: 5 } as const;

/** The newest lines that are kept of a log, and whether there were others before them. */
export function newestLines<Line extends { readonly text: string }>(
  lines: readonly Line[],
): { readonly lines: readonly Line[]; readonly shortened: boolean } {
  let [from, bytes] = [lines.length, 0];
  while (from > 0 && lines.length - from < KEPT_FAILURE_LOG.lines) {
    bytes += Buffer.byteLength(lines[from - 1]?.text ?? '');
    if (bytes > KEPT_FAILURE_LOG.bytes) break;
    from -= 1;
  }
  return { lines: lines.slice(from), shortened: from > 0 };
}
