import { aWebServer, type SpecInit } from './deployed.ts';

/** A web server that exits as soon as its container has a file `/broken`. */
export function aFragileServer(image: string): SpecInit {
  const isBroken = '[ -e /broken ]';
  const serve = 'mkdir -p /tmp/www && echo "$BODY" > /tmp/www/index.html && httpd -p 8080 -h /tmp/www';
  const script = `if ${isBroken}; then exit 3; fi; ${serve}; until ${isBroken}; do sleep 0.2; done; exit 3`;
  const interval = { seconds: 0n, nanos: 500_000_000 };
  const healthCheck = { kind: { case: 'automatic', value: {} }, interval } as const;
  return aWebServer(image, 'here', { command: ['/bin/sh', '-c', script], healthCheck });
}
