import { spawn } from 'node:child_process';
import { once } from 'node:events';
import type { GuestImage } from '../../scripts/machine/guest-image.mjs';
import { SHARES } from './shares.ts';

/** A guest that is booted for one command. */
export interface GuestRun {
  readonly image: GuestImage;
  /** The folder of this machine that the guest sees, for reading, at its place in {@link SHARES}; the other for both. */
  readonly shared: Record<keyof typeof SHARES, string>;
  /** What it is to run: words without blanks and quotes. */
  readonly command: readonly string[];
  /** Gets what the guest prints. */
  readonly consoleFile: string;
  readonly timeoutMs: number;
}

/** Its disk is a layer in memory and in a file without a name; nothing of it is left, and the image is as it was. */
const DISK_OPTIONS = 'format=raw,if=virtio,snapshot=on,cache=unsafe';

/**
 * Boots a guest under software emulation, whose only service is a command, and waits until it is off. It ends with this
 * process, however that ends, and it has no network.
 *
 * @throws when QEMU cannot run it, or it is not off in time; it is then.
 */
export async function runGuest(stack: AsyncDisposableStack, guest: GuestRun): Promise<void> {
  // A killed process of ours takes the emulator with it.
  const args = ['--pdeathsig', 'KILL', 'qemu-system-x86_64', ...argumentsOf(guest)];
  const emulator = spawn('setpriv', args, {
    stdio: ['ignore', 'ignore', 'pipe'],
    timeout: guest.timeoutMs,
    killSignal: 'SIGKILL',
  });
  const closed = once(emulator, 'close') as Promise<[number | null, string | null]>;
  stack.defer(async () => {
    emulator.kill('SIGKILL');
    await closed;
  });
  let said = '';
  emulator.stderr.on('data', (chunk: Buffer) => {
    said = (said + chunk.toString()).slice(-4_096);
  });
  const [code, signal] = await closed;
  if (code !== 0) throw new Error(`the guest ended with ${signal ?? `code ${code}`}: ${said.trim()}`);
}

function argumentsOf({ image, shared, command, consoleFile }: GuestRun): string[] {
  const { disk, kernel, initrd } = image;
  return [
    ...['-machine', 'q35', '-accel', 'tcg,thread=multi,tb-size=512', '-cpu', 'max', '-smp', '2', '-m', '3072'],
    ...['-nodefaults', '-display', 'none', '-no-reboot', '-serial', `file:${consoleFile}`],
    ...['-nic', 'none', '-device', 'virtio-rng-pci'],
    ...['-kernel', kernel, '-initrd', initrd, '-append', kernelWords(command).join(' ')],
    ...['-drive', `file=${disk},${DISK_OPTIONS}`],
    ...['-virtfs', `local,path=${shared.checkout},mount_tag=checkout,security_model=none,readonly=on,multidevs=remap`],
    ...['-virtfs', `local,path=${shared.results},mount_tag=results,security_model=none,multidevs=remap`],
  ];
}

function kernelWords(command: readonly string[]): string[] {
  const common = ['trans=virtio', 'version=9p2000.L', 'msize=262144'];
  // The service that `systemd.run` makes begins before anything that counts as a network's, unless it asks for that.
  const first = ['before', 'required-by'].map((word) => `x-systemd.${word}=kernel-command-line.service`);
  const mount = (tag: keyof typeof SHARES, ...options: string[]): string =>
    `systemd.mount-extra=${tag}:${SHARES[tag]}:9p:${[...common, ...first, ...options].join(',')}`;
  return [
    ...['root=/dev/vda', 'rw', 'console=ttyS0', 'quiet', 'panic=1', 'psi=1'],
    // An emulated processor has no secrets to lose, and its clock is as good as the machine's.
    ...['mitigations=off', 'apparmor=0', 'selinux=0', 'tsc=reliable', 'systemd.default_timeout_start_sec=600'],
    ...[mount('checkout', 'cache=loose', 'ro'), mount('results')],
    ...[`"systemd.run=${command.join(' ')}"`, 'systemd.run_success_action=poweroff-force'],
    'systemd.run_failure_action=poweroff-force',
  ];
}
