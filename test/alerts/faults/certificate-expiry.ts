import { sql } from 'kysely';
import { aWebServer } from '../../integration/deployed.ts';
import { eventually } from '../../support/eventually.ts';
import { type AlertBed, deploySubject } from '../bed.ts';
import type { Fault } from '../fault.ts';

const DAY_MS = 24 * 3_600_000;

/** Each hostname is looked at once an hour: that hour is let pass in the database. */
async function passAnHour({ db }: AlertBed, hostname: string): Promise<void> {
  await sql`UPDATE certificate_observations SET checked_at = checked_at - interval '1 hour'
    WHERE hostname = ${hostname}`.execute(db);
}

/** Serves one that expires in so many days, until the ingress has it. */
async function serve(bed: AlertBed, hostname: string, days: number): Promise<void> {
  await bed.serveCertificate(hostname, days);
  await eventually(async () => {
    const left = ((await bed.readCertificate(hostname))?.getTime() ?? 0) - Date.now();
    if (Math.round(left / DAY_MS) !== days) throw new Error(`the ingress serves one for ${left / DAY_MS} days`);
  });
}

/** A certificate that nobody has renewed in time. */
export const certificateExpiry: Fault = {
  name: 'certificate-expiry',
  about: 'the ingress serves a certificate that expires in 5 days, and then one that expires in 89',
  rules: ['certificate-expiry'],
  changed: 'the hour between two looks is let pass in the database',
  stage: 'application',
  patienceMs: 300_000,
  prepare: async (bed) => {
    const subject = await deploySubject(bed, aWebServer(bed.image, ''));
    const hostname = `${subject.name}.localhost`;
    const change = async (days: number): Promise<void> => {
      await serve(bed, hostname, days);
      await passAnHour(bed, hostname);
    };
    return { deployments: [subject.id], harm: () => change(5), heal: () => change(89), remove: subject.remove };
  },
};
