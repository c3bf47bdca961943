import type Dockerode from 'dockerode';

/** Gives a daemon the very image that another one has, not one made of the same parts. */
export async function copyImage(image: string, from: Dockerode, to: Dockerode): Promise<void> {
  const loading = await to.loadImage(await from.getImage(image).get());
  await new Promise<void>((resolve, reject) => {
    to.modem.followProgress(loading, (error, told: { error?: string }[]) => {
      const said = told?.find(({ error }) => error !== undefined)?.error;
      if (error || said !== undefined) reject(error ?? new Error(said));
      else resolve();
    });
  });
}
