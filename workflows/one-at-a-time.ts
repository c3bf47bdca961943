/** Settles when the local activities of this workflow that were called so far have ended. Each workflow has its own. */
let calledBefore: Promise<unknown> = Promise.resolve();

/**
 * Makes local activities run one after another, in the order in which they are called.
 *
 * Several at a time end in an order that a replay does not repeat: it resolves them in the order in which they were
 * called (SDK 1.24). What the main loop and the update handlers do next would then be recorded in one order and
 * replayed in another, and the workflow would be stuck for ever with the next orchestrator.
 */
export function oneAtATime<Activities extends object>(activities: Activities): Activities {
  return new Proxy(activities, {
    get: (target, name) => (input: unknown) => {
      const activity = Reflect.get(target, name) as (input: unknown) => Promise<unknown>;
      const call = calledBefore.then(() => activity(input));
      calledBefore = call.catch(() => undefined);
      return call;
    },
  });
}
