import { describe, expect, it } from 'vitest';
import { DomainError } from '../../../domain/errors.ts';
import { createManaging, type SwarmManaging } from './managing.ts';
import type { SwarmMembership } from './membership.ts';

const ID = 'a'.repeat(25);
const silent = () => new DomainError('DOCKER_UNAVAILABLE', 'docker gave no answer');

/** What an answer is instead; `undefined` for a good one. */
type Failing = () => Error | undefined;

/** Who is asked, and what they answer. */
function aSwarm(of: { isManager: boolean; hasOthers?: boolean; own?: Failing; others?: Failing }) {
  const asked: string[] = [];
  const role = { isManager: of.isManager };
  const answering = (name: string, fails: Failing | undefined): SwarmManaging => {
    const removed = async () => {
      asked.push(name);
      const error = fails?.();
      if (error) throw error;
      return true;
    };
    const host = async () => {
      const error = fails?.();
      if (error) throw error;
    };
    return { overlays: { remove: removed }, host } as unknown as SwarmManaging;
  };
  const recent = async () => ({ nodeId: ID, managers: [], ...role });
  const membership: SwarmMembership = { recent, look: recent };
  const others = of.hasOthers === false ? undefined : answering('others', of.others);
  const managing = createManaging({ membership, own: answering('own', of.own), others });
  return { asked, role, remove: () => managing.overlays.remove('network') };
}

describe('what only managers do', () => {
  it('is done by a manager itself, and asked of managers by a worker, whatever it was before', async () => {
    const { asked, role, remove } = aSwarm({ isManager: true });
    await remove();
    role.isManager = false;
    await remove();
    expect(asked).toEqual(['own', 'others']);
  });

  it('is refused by name on a worker that has nobody to ask', async () => {
    const { remove } = aSwarm({ isManager: false, hasOthers: false });
    await expect(remove()).rejects.toMatchObject({ code: 'CONFIGURATION' });
  });

  it('is asked of others by a manager that has lost them, at once the next time', async () => {
    const { asked, remove } = aSwarm({ isManager: true, own: silent });
    expect(await remove()).toBe(true);
    expect(await remove()).toBe(true);
    expect(asked).toEqual(['own', 'others', 'others']);
  });

  it('is done by a manager itself again once it has found the others, which nobody waits for', async () => {
    let isLost = true;
    const { asked, remove } = aSwarm({
      isManager: true,
      own: () => (isLost ? silent() : undefined),
    });
    await remove();
    isLost = false;
    await remove();
    await remove();
    expect(asked).toEqual(['own', 'others', 'others', 'own']);
  });

  it('fails where neither answers, as it does where there is nobody else', async () => {
    const alone = aSwarm({ isManager: true, own: silent, others: silent });
    await expect(alone.remove()).rejects.toMatchObject({ code: 'DOCKER_UNAVAILABLE' });
    await expect(alone.remove()).rejects.toMatchObject({ code: 'DOCKER_UNAVAILABLE' });
    expect(alone.asked).toEqual(['own', 'others', 'others', 'own']);
  });

  it('is not asked of others when it was refused', async () => {
    const refuse = () => new DomainError('INVALID_ARGUMENT', 'no');
    const { asked, remove } = aSwarm({ isManager: true, own: refuse });
    await expect(remove()).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
    expect(asked).toEqual(['own']);
  });
});
