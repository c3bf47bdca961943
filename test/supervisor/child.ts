/**
 * A child of the supervisor's tests. The first argument says how it behaves:
 * `ready` says so and waits for SIGTERM, `deaf` ignores SIGTERM, `misconfigured` exits 78, `crashing` exits 3.
 */
const behaviour = process.argv[2];

console.log(`child ${behaviour} of pid ${process.pid} starts`);
process.on('SIGTERM', () => {
  if (behaviour === 'deaf') return;
  console.log('child stops');
  process.exit(0);
});
setInterval(() => {}, 60_000);
if (behaviour === 'misconfigured') process.exit(78);
if (behaviour === 'crashing') process.exit(3);
process.send?.('ready');
