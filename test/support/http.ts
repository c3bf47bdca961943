import { request } from 'node:http';

/** An answer from an application. */
export interface Answer {
  readonly status: number;
  readonly body: string;
}

/** Asks an application through the ingress: names under `localhost` need no resolver this way. */
export async function askThroughIngress(port: number, host: string, path = '/'): Promise<Answer> {
  return await new Promise((resolve, reject) => {
    const headers = { host: `${host}:${port}` };
    const asked = request({ host: '127.0.0.1', port, path, headers, agent: false, timeout: 10_000 }, (response) => {
      let body = '';
      response.setEncoding('utf8');
      response.on('data', (chunk: string) => {
        body += chunk;
      });
      response.on('end', () => resolve({ status: response.statusCode ?? 0, body }));
      response.on('error', reject);
    });
    asked.on('timeout', () => asked.destroy(new Error(`no answer from ${host} in 10 s`)));
    asked.on('error', reject);
    asked.end();
  });
}
