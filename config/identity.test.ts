import { describe, expect, it } from 'vitest';
import { isLoopback, issuerOf } from './identity.ts';

describe('the issuer', () => {
  it('is the configured one, by its older name too', () => {
    expect(issuerOf({ OIDC_ISSUER: 'https://a.example', ZITADEL_URL: 'https://b.example' })).toBe('https://a.example');
    expect(issuerOf({ ZITADEL_URL: 'https://b.example' })).toBe('https://b.example');
    expect(issuerOf({ OIDC_ISSUER: 'http://127.0.0.1:7402' })).toBe('http://127.0.0.1:7402');
  });

  it('has no default, and is not over http unless on this host', () => {
    for (const issuer of [
      undefined,
      'http://login.example',
      'http://127.0.0.1.evil.example',
      'http://localhost.evil',
    ]) {
      const find = () => issuerOf(issuer === undefined ? {} : { OIDC_ISSUER: issuer });
      expect(find).toThrow(expect.objectContaining({ code: 'CONFIGURATION' }));
    }
  });

  it('is on this host by every name of loopback', () => {
    for (const host of ['127.0.0.1', '127.1', '[::1]', 'localhost', 'x.localhost']) {
      expect(isLoopback(`http://${host}:1`)).toBe(true);
    }
  });
});
