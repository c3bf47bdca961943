/** Where the ingress answers, as people reach it. */
export interface PublicAddress {
  /** The address of an application for its hostname. */
  urlOf(hostname: string): string;
}

/** Prefers HTTPS unless the platform runs under `localhost`, for which no certificate is trusted. */
export function createPublicAddress(ports: { domain: string; httpPort: number; httpsPort: number }): PublicAddress {
  const isLocal = ports.domain === 'localhost' || ports.domain.endsWith('.localhost');
  const origin = (hostname: string) =>
    isLocal ? `http://${hostname}${suffix(ports.httpPort, 80)}` : `https://${hostname}${suffix(ports.httpsPort, 443)}`;
  return { urlOf: origin };
}

function suffix(port: number, standard: number): string {
  return port === standard ? '' : `:${port}`;
}
