import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { SMTPServer, type SMTPServerOptions } from 'smtp-server';
import { afterEach, describe, expect, it } from 'vitest';
import type { SmtpTarget } from '../../domain/alerts/targets.ts';
import { aCertificate, aNotification } from '../../test/support/alerts.ts';
import { sendMail } from './send-mail.ts';

const PASSWORD = 'a password of the mail server';
const LOCAL = async () => [{ address: '127.0.0.1', family: 4 }];

const certificate = aCertificate('mail.example.com');

const closing: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0)) await close();
});

/** A real mail server that takes one user, and what it was given. */
async function mailServer(options: SMTPServerOptions = {}) {
  const mails: { readonly text: string; readonly isEncrypted: boolean; readonly to: readonly string[] }[] = [];
  const server = new SMTPServer({
    ...{ key: certificate.key, cert: certificate.certificate, logger: false },
    onAuth: ({ username, password }, _session, done) =>
      username === 'obiente' && password === PASSWORD
        ? done(null, { user: username })
        : done(Object.assign(new Error('no'), { responseCode: 535 })),
    onData: (stream, { secure, envelope }, done) => {
      const parts: Buffer[] = [];
      stream.on('data', (part: Buffer) => parts.push(part));
      stream.on('end', () => {
        const to = envelope.rcptTo.map(({ address }) => address);
        mails.push({ text: Buffer.concat(parts).toString(), isEncrypted: secure, to });
        done();
      });
    },
    ...options,
  });
  // Clients that give up in the middle are an error of theirs.
  server.on('error', () => undefined);
  const listening = server.listen(0, '127.0.0.1');
  await once(listening, 'listening');
  closing.push(() => new Promise((resolve) => server.close(() => resolve())));
  const { port } = listening.address() as AddressInfo;
  return { mails, port };
}

function target(port: number, changes: Partial<SmtpTarget> = {}): SmtpTarget {
  return {
    ...{ kind: 'smtp', host: 'mail.example.com', port, security: 'starttls', username: 'obiente' },
    ...{ from: 'obiente@example.com', to: ['ops@example.com', 'night@example.com'] },
    ...changes,
  };
}

const options = (port: number) => ({
  ...{ allowedHosts: [`mail.example.com:${port}`], ca: certificate.certificate, resolve: LOCAL, timeoutMs: 2_000 },
});

describe('a mail', () => {
  it.each(['starttls', 'tls'] as const)('goes out encrypted and signed in, by %s', async (security) => {
    const { mails, port } = await mailServer({ secure: security === 'tls' });
    const notification = aNotification();
    await sendMail(target(port, { security }), notification, PASSWORD, options(port));
    expect(mails).toMatchObject([{ isEncrypted: true, to: ['ops@example.com', 'night@example.com'] }]);
    expect(mails[0]?.text).toContain('Subject: [Obiente] WARNING cpu: shop');
    expect(mails[0]?.text).toContain('97.3 %');
    expect(mails[0]?.text).toContain(`Message-ID: <${notification.id}@example.com>`);
  });

  it('is not sent in clear text to a server that offers nothing else', async () => {
    const { mails, port } = await mailServer({ hideSTARTTLS: true, disabledCommands: ['STARTTLS'] });
    await expect(sendMail(target(port), aNotification(), PASSWORD, options(port))).rejects.toMatchObject({
      code: expect.stringMatching(/^DELIVERY_/),
    });
    expect(mails).toEqual([]);
  });

  it('is not sent to a server whose certificate nobody vouches for', async () => {
    const { mails, port } = await mailServer();
    const { ca: _, ...untrusted } = options(port);
    await expect(sendMail(target(port), aNotification(), PASSWORD, untrusted)).rejects.toMatchObject({
      code: 'DELIVERY_FAILED',
    });
    expect(mails).toEqual([]);
  });

  it('fails for good when the server refuses the password, and says nothing of it', async () => {
    const { port } = await mailServer();
    const sending = sendMail(target(port), aNotification(), 'wrong-password', options(port));
    await expect(sending).rejects.toMatchObject({ code: 'DELIVERY_REFUSED', message: expect.stringContaining('535') });
    await expect(sending).rejects.not.toMatchObject({ message: expect.stringContaining('wrong-password') });
  });

  it('may be tried again when the server has no time', async () => {
    const busy = Object.assign(new Error('later'), { responseCode: 451 });
    const { port } = await mailServer({ onMailFrom: (_address, _session, done) => done(busy) });
    await expect(sendMail(target(port), aNotification(), PASSWORD, options(port))).rejects.toMatchObject({
      code: 'DELIVERY_FAILED',
    });
  });

  it('holds no second header, whatever a name says', async () => {
    const { mails, port } = await mailServer();
    const { alert } = aNotification();
    const hostile = 'shop\r\nBcc: thief@example.com';
    const notification = aNotification({ alert: alert && { ...alert, deployment: hostile } });
    await sendMail(target(port), notification, PASSWORD, options(port));
    expect(mails[0]?.text.split('\r\n\r\n')[0]).not.toMatch(/^bcc:/im);
    expect(mails[0]?.to).not.toContain('thief@example.com');
  });

  it('does not go into the platform’s own network', async () => {
    const { mails, port } = await mailServer();
    const inside = { ...options(port), allowedHosts: [] };
    await expect(sendMail(target(port), aNotification(), PASSWORD, inside)).rejects.toMatchObject({
      code: 'DELIVERY_REFUSED',
    });
    expect(mails).toEqual([]);
  });
});
