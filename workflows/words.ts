import type { Control } from '../contracts/deployment.ts';

/** What people have said about one operation that is under way. */
export interface Words {
  readonly paused: boolean;
  /** Approvals that no gate has used yet. */
  readonly approvals: number;
  /** Why it was cancelled; empty while it was not. */
  readonly cancelReason: string;
  /** What it waits for a person for; empty when for nobody. */
  waitsFor: string;
  hear(control: Control): void;
  /** Cancels for a reason of the platform's own. */
  cancel(reason: string): void;
  /** Uses an approval up. */
  useApproval(): void;
}

/** Starts to listen. `onCancel` is called at the first cancel. */
export function listen(onCancel: () => void): Words {
  const heard = { paused: false, approvals: 0, cancelReason: '', waitsFor: '' };
  const cancel = (reason: string): void => {
    heard.cancelReason ||= reason;
    onCancel();
  };
  const act: Record<Control, () => void> = {
    cancel: () => cancel('cancelled by a person'),
    pause: () => {
      heard.paused = true;
    },
    resume: () => {
      heard.paused = false;
    },
    approve: () => {
      heard.approvals += 1;
    },
  };
  return Object.assign(heard, {
    cancel,
    hear: (control: Control): void => act[control](),
    useApproval: (): void => {
      heard.approvals -= 1;
    },
  });
}
