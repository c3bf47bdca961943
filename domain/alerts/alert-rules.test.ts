import { describe, expect, it } from 'vitest';
import { ALERT_RULES, BUILT_IN_RULES, checkOverride, overridden, parseRule } from './alert-rules.ts';
import { isSilenced, type Silence } from './silences.ts';
import { checkTarget, describeTarget, type TargetConfig } from './targets.ts';

const NOTHING = { isEnabled: true, fireAt: null, clearAt: null, forMs: null };
const refusal = (work: () => void): string => {
  try {
    work();
  } catch (error) {
    return (error as { field?: string }).field ?? 'no field';
  }
  return 'taken';
};

describe('the built-in rules', () => {
  it('are all there, each once, and none of them flaps', () => {
    expect(BUILT_IN_RULES.map(({ name }) => name)).toEqual([...ALERT_RULES]);
    for (const rule of BUILT_IN_RULES) expect(refusal(() => checkOverride(rule, NOTHING))).toBe('taken');
  });

  it('keep their distance between the thresholds when a member moves one', () => {
    const cpu = parseRule('rule', 'cpu');
    expect(overridden(cpu, { ...NOTHING, fireAt: 50 })).toMatchObject({ fireAt: 50, clearAt: 40, forMs: 600_000 });
    expect(overridden(cpu, { ...NOTHING, fireAt: 5 })).toMatchObject({ fireAt: 5, clearAt: 0 });
    const expiry = parseRule('rule', 'certificate-expiry');
    expect(overridden(expiry, { ...NOTHING, fireAt: 30 })).toMatchObject({ fireAt: 30, clearAt: 36 });
  });

  it('refuse what could not be, by the field', () => {
    const cpu = parseRule('rule', 'cpu');
    expect(refusal(() => checkOverride(cpu, { ...NOTHING, fireAt: 50, clearAt: 60 }))).toBe('clear_at');
    expect(refusal(() => checkOverride(cpu, { ...NOTHING, fireAt: Number.NaN }))).toBe('fire_at');
    expect(refusal(() => checkOverride(cpu, { ...NOTHING, forMs: 25 * 3_600_000 }))).toBe('for');
    expect(refusal(() => checkOverride(parseRule('rule', 'volumes-on-lost-node'), { ...NOTHING, fireAt: 0 }))).toBe(
      'fire_at',
    );
    expect(refusal(() => parseRule('rule', 'constructor'))).toBe('rule');
  });
});

describe('a silence', () => {
  const alert = { organizationId: 'o', rule: 'cpu', deploymentId: 'd', nodeId: null };
  const all: Silence = { organizationId: 'o', rule: null, deploymentId: null, nodeId: null, untilMs: 100 };

  it('holds of what it names, until its time', () => {
    expect(isSilenced(alert, [all], 99)).toBe(true);
    expect(isSilenced(alert, [all], 100)).toBe(false);
    expect(isSilenced(alert, [{ ...all, rule: 'memory' }], 0)).toBe(false);
    expect(isSilenced(alert, [{ ...all, deploymentId: 'other' }], 0)).toBe(false);
    expect(isSilenced(alert, [{ ...all, nodeId: 'n' }], 0)).toBe(false);
  });

  it('never holds of what is another organization’s, or the platform’s, unless an operator made it', () => {
    expect(isSilenced({ ...alert, organizationId: 'other' }, [all], 0)).toBe(false);
    expect(isSilenced({ ...alert, organizationId: null }, [all], 0)).toBe(false);
    expect(isSilenced({ ...alert, organizationId: null }, [{ ...all, organizationId: null }], 0)).toBe(true);
  });
});

describe('a target', () => {
  const webhook = (url: string): TargetConfig => ({ kind: 'webhook', url });
  const smtp: TargetConfig = {
    ...{ kind: 'smtp', host: 'mail.example.com', port: 465, security: 'tls', username: 'u' },
    ...{ from: 'obiente@example.com', to: ['ops@example.com'] },
  };

  it.each([
    ...['http://example.com/', 'https://127.0.0.1/', 'https://[::1]/', 'https://localhost/', 'https://2130706433/'],
    ...['https://0x7f.1/', 'https://169.254.169.254/latest/meta-data', 'https://metadata.google.internal/'],
    ...[
      'https://u:p@example.com/',
      'file:///etc/passwd',
      'nonsense',
      'https://10.0.0.1:8443/',
      'https://[::ffff:127.0.0.1]/',
    ],
  ])('is not taken at %s', (url) => {
    expect(refusal(() => checkTarget(webhook(url), []))).toBe('webhook.url');
  });

  it('is taken on the internet, and where the operator allows it', () => {
    expect(refusal(() => checkTarget(webhook('https://hooks.example.com:8443/a?b=c'), []))).toBe('taken');
    expect(refusal(() => checkTarget(webhook('http://127.0.0.1:9000/'), ['127.0.0.1:9000']))).toBe('taken');
    expect(refusal(() => checkTarget(webhook('http://127.0.0.1:9001/'), ['127.0.0.1:9000']))).toBe('webhook.url');
    expect(refusal(() => checkTarget(webhook('http://127.0.0.1:9001/'), ['127.0.0.1']))).toBe('taken');
    expect(refusal(() => checkTarget(smtp, []))).toBe('taken');
    expect(refusal(() => checkTarget({ ...smtp, host: '10.0.0.5' }, []))).toBe('smtp.host');
  });

  it.each(['a@b.example\r\nbcc: x@y.example', 'no at sign', 'a b@c.example', '<a@b.example>', ''])(
    'has no recipient %j',
    (to) => {
      expect(refusal(() => checkTarget({ ...smtp, to: [to] }, []))).toBe('smtp.to');
    },
  );

  it('is told of without its path, which may be a secret', () => {
    expect(describeTarget(webhook('https://hooks.example.com/services/T0/secret'))).toBe('https://hooks.example.com/…');
  });
});
