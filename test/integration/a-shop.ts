import type { SpecInit } from './deployed.ts';

/** What the three services of a shop answer. */
export interface Shop {
  readonly web: string;
  readonly prices: string;
  readonly stock: string;
}

/** Enough for a page now and then. Each page is three programs: under load they need room, or the kernel ends some. */
const LIMITS = { cpus: '0.1', memory: '16M' };

/** `web` asks `prices` for each page, which asks `stock`; each adds its own word. A service dies without the one behind. */
export function aShopOf(
  image: string,
  { web, prices, stock }: Shop,
  changes: SpecInit = {},
  limits = LIMITS,
): SpecInit {
  const serve = 'mkdir -p /tmp/www/cgi-bin && printf "%s" "$$PAGE" > /tmp/www/cgi-bin/index.cgi';
  const listen = 'chmod +x /tmp/www/cgi-bin/index.cgi && exec httpd -f -p 8080 -h /tmp/www';
  const service = (word: string, behind?: string) => ({
    image,
    command: ['/bin/sh', '-c', `${serve} && ${listen}`],
    environment: {
      PAGE: [
        '#!/bin/sh',
        'echo "Content-Type: text/plain"',
        'echo',
        `printf "${word} "`,
        ...(behind === undefined ? [] : [`wget -q -O - http://${behind}:8080/`]),
      ].join('\n'),
    },
    deploy: { resources: { limits } },
    expose: ['8080'],
    ...(behind === undefined ? {} : { depends_on: { [behind]: { condition: 'service_healthy' } } }),
    healthcheck: { test: ['CMD', '/bin/true'], interval: '1s' },
  });
  const file = JSON.stringify({
    services: {
      web: { ...service(web, 'prices'), ports: ['8080'] },
      prices: service(prices, 'stock'),
      stock: service(stock),
    },
  });
  return { source: { case: 'compose', value: { file } }, ...changes } as SpecInit;
}
