import { connect } from 'node:tls';

/** Where the ingress serves HTTPS. */
export interface CertificateProbeOptions {
  /** `host:port`. */
  readonly address: string;
  /** How long one look may take, milliseconds. Default 5 s. */
  readonly timeoutMs?: number;
}

/**
 * Creates the look at what the ingress serves for a hostname: when that certificate expires; `null` when none could be
 * read, whatever the reason. Whether it is trusted is not what is asked here.
 */
export function createCertificateProbe(options: CertificateProbeOptions): (hostname: string) => Promise<Date | null> {
  const at = options.address.lastIndexOf(':');
  const [host, port] = [
    options.address.slice(0, at).replace(/^\[(.*)\]$/, '$1'),
    Number(options.address.slice(at + 1)),
  ];
  return async (hostname) => {
    const { promise, resolve } = Promise.withResolvers<Date | null>();
    const socket = connect({ host, port, servername: hostname, rejectUnauthorized: false }, () => {
      const until = Date.parse(socket.getPeerCertificate().valid_to ?? '');
      resolve(Number.isNaN(until) ? null : new Date(until));
    });
    socket.setTimeout(options.timeoutMs ?? 5_000, () => resolve(null));
    socket.on('error', () => resolve(null));
    socket.on('close', () => resolve(null));
    try {
      return await promise;
    } finally {
      socket.destroy();
    }
  };
}
