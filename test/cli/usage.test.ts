import { durationFromMs } from '@bufbuild/protobuf/wkt';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  GetMetricsRetentionRequestSchema,
  GetUsageRequestSchema,
  ResetMetricsRetentionRequestSchema,
  SetMetricsRetentionRequestSchema,
} from '../../gen/obiente/cloud/v1/usage_pb.ts';
import { ORGANIZATION_ID, startFakePlatform } from './fake-platform.ts';
import { runCommand } from './run-command.ts';

let platform: Awaited<ReturnType<typeof startFakePlatform>>;

beforeEach(async () => {
  platform = await startFakePlatform();
});
afterEach(() => platform.stop());

const obiente = (...args: string[]) => runCommand(args, { url: platform.url });
const HOUR_MS = 3_600_000;

describe('obiente usage', () => {
  const sums = (amount: string) => ({
    ...{ cpuCoreSeconds: `${amount}.000000001`, memoryByteSeconds: '3865470566400', uptimeSeconds: amount },
    ...{ networkReceiveBytes: '1048576', networkTransmitBytes: '18014398509481985' },
    ...{ diskReadBytes: '0', diskWriteBytes: '1024' },
  });
  const [id, other] = ['00000000-0000-4000-8000-000000000001', '00000000-0000-4000-8000-000000000002'];

  beforeEach(() => {
    platform.behaviour.usage = {
      months: [
        { month: '2026-10', total: sums('0'), incomplete: true },
        {
          ...{ month: '2026-11', total: sums('10800') },
          deployments: [
            { deploymentId: other, name: '=api,\u001b[31m', gone: true, usage: sums('3600') },
            { deploymentId: id, name: 'web', usage: sums('7200') },
          ],
        },
      ],
    };
  });

  it('shows each month as a table with a total, and says what is incomplete', async () => {
    const { stdout, stderr, exitCode } = await obiente('usage', '--month', '2026-10..2026-11', '--deployment', 'web');
    expect(exitCode).toBe(0);
    expect(stdout).toMatch(/^2026-10\nnothing was used\n\n2026-11\nDEPLOYMENT +CPU \(CORE H\) +MEMORY \(GIB H\) +IN /);
    expect(stdout).toMatch(/\nweb +2\.00 +1\.00 +1\.0 MiB +16\.0 PiB +0 B +1\.0 KiB +2\.00\n/);
    expect(stdout).toMatch(/\ntotal +3\.00 .*3\.00\n$/);
    expect(stdout).toContain(' (gone)');
    expect(stdout).not.toContain('\u001b');
    expect(stderr).toBe('2026-10 is incomplete: hours are not kept for so long\n');
    expect(platform.requestsOf('GetUsage', GetUsageRequestSchema)).toMatchObject([
      { organizationId: ORGANIZATION_ID, firstMonth: '2026-10', lastMonth: '2026-11', deployment: 'web' },
    ]);
  });

  it('gives exact sums as CSV, harmless to a spreadsheet, and as JSON', async () => {
    expect((await obiente('usage', '--csv')).stdout.split('\n')).toEqual([
      'month,deployment_id,deployment,cpu_core_seconds,memory_byte_seconds,network_receive_bytes,network_transmit_bytes,disk_read_bytes,disk_write_bytes,uptime_seconds',
      expect.stringMatching(
        /^2026-11,\S+,"'=api,.*",3600\.000000001,3865470566400,1048576,18014398509481985,0,1024,3600$/,
      ),
      `2026-11,${id},web,7200.000000001,3865470566400,1048576,18014398509481985,0,1024,7200`,
      '',
    ]);
    const asJson = await obiente('usage', '--month', '2026-11', '--json');
    expect(asJson.json()).toMatchObject({ months: [{}, { total: { cpuCoreSeconds: '10800.000000001' } }] });
    expect(platform.requestsOf('GetUsage', GetUsageRequestSchema)).toMatchObject([
      { firstMonth: '', lastMonth: '', deployment: '' },
      { firstMonth: '2026-11', lastMonth: '2026-11' },
    ]);
  });

  it.each(['november', '2026-1', '2026-01..', '..2026-01', '2026-01..2026-02..2026-03'])(
    'refuses --month %s before it calls anything',
    async (month) => {
      const refused = await obiente('usage', '--month', month);
      expect(refused).toMatchObject({ exitCode: 3, stderr: expect.stringContaining('--month: ') });
      expect(platform.calls).toEqual([]);
    },
  );
});

describe('obiente metrics retention', () => {
  beforeEach(() => {
    const [own, byDefault] = [durationFromMs(48 * HOUR_MS), durationFromMs(24 * HOUR_MS)];
    const long = durationFromMs(9600 * HOUR_MS);
    platform.behaviour.metricsRetention = {
      minutes: { keep: own, own: true, default: byDefault },
      hours: { keep: long, own: false, default: long },
    };
  });

  it('shows the periods that are in force', async () => {
    const shown = await obiente('metrics', 'retention');
    expect(shown).toMatchObject({ exitCode: 0, stderr: '' });
    expect(shown.stdout).toMatch(/^WHAT +KEPT FOR +SET BY +PLATFORM\nminutes +48 h +the organization’s own +24 h\n/);
    expect(shown.stdout).toMatch(/\nhours +400 d +the platform +400 d\n$/);
    expect(platform.requestsOf('GetMetricsRetention', GetMetricsRetentionRequestSchema)).toMatchObject([
      { organizationId: ORGANIZATION_ID },
    ]);
    expect((await obiente('metrics', 'retention', '--json')).json()).toMatchObject({
      minutes: { keep: '172800s', own: true },
    });
  });

  it('sets one or both, also of an organization that only operators can name, and resets them', async () => {
    const foreign = '99999999-9999-4999-8999-999999999999';
    await obiente('metrics', 'retention', '--minutes', '48h', '--hours', '400d');
    await obiente('--org', foreign, 'metrics', 'retention', '--minutes', '72h');
    const sets = platform.requestsOf('SetMetricsRetention', SetMetricsRetentionRequestSchema);
    expect(sets).toMatchObject([
      { organizationId: ORGANIZATION_ID, minutes: { seconds: 172_800n }, hours: { seconds: 34_560_000n } },
      { organizationId: foreign, minutes: { seconds: 259_200n } },
    ]);
    expect(sets[1]?.hours).toBeUndefined();
    expect((await obiente('metrics', 'retention', '--reset')).exitCode).toBe(0);
    expect(platform.requestsOf('ResetMetricsRetention', ResetMetricsRetentionRequestSchema)).toHaveLength(1);
  });

  it('refuses what is no duration, and to set and reset at once', async () => {
    expect(await obiente('metrics', 'retention', '--minutes', 'long')).toMatchObject({ exitCode: 3 });
    expect(await obiente('metrics', 'retention', '--reset', '--hours', '400d')).toMatchObject({ exitCode: 3 });
    expect(platform.calls).toEqual([]);
  });
});
