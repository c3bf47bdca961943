/**
 * A moment in the life of a call that passes a proxy: it has arrived and was not forwarded; it was forwarded whole; its
 * answer has arrived and was not passed on; its answer was passed on whole.
 */
export type Moment = 'arrived' | 'sent' | 'answered' | 'passed';

/** What is done to a call, or to a connection where bytes are not understood as calls. */
export type Fault =
  /** Forwarded so much later. */
  | { readonly kind: 'delay'; readonly ms: number }
  /** Its connection is closed; it is not forwarded. */
  | { readonly kind: 'drop' }
  /** Its connection is broken off hard; it is not forwarded. */
  | { readonly kind: 'reset' }
  /** Accepted and never answered; it is not forwarded. */
  | { readonly kind: 'half-open' }
  /** Carried out, and never answered. */
  | { readonly kind: 'swallow' }
  /**
   * Something is done at a moment, such as killing the caller, and the call goes no further: struck when it has
   * `arrived` it is not forwarded, struck before it has `passed` it is carried out and not answered.
   */
  | { readonly kind: 'strike'; readonly at: Moment; readonly strike: (call: string) => unknown };

/** Which calls have a fault. */
export interface FaultRule {
  /** Matched against `POST /containers/create?name=x`; a connection whose bytes are not understood is `CONNECT`. */
  readonly calls: RegExp;
  readonly fault: Fault;
  /** How many matching calls have none before the first that has. Default 0. */
  readonly skip?: number;
  /** How many have it. Default: all. */
  readonly times?: number;
  /** Chance of each, from 0 to 1. Default 1. */
  readonly probability?: number;
  /** Whether a call that comes again word for word has none: so each is struck once, and its repetition passes. */
  readonly oncePerCall?: boolean;
}

/** A call that had a fault. */
export interface Hit {
  readonly call: string;
  readonly kind: Fault['kind'];
}

/** Decides for each call what is done to it. */
export interface FaultRules {
  /** Adds a rule behind those there are; answers with how to take it away. */
  add(rule: FaultRule): () => void;
  /** The first rule that has a fault for the call decides. */
  decide(call: string): Fault | undefined;
  /** Calls seen so far that match. */
  seen(calls: RegExp): number;
  readonly hits: readonly Hit[];
}

/** Creates rules without any. @param random gives numbers from 0 up to 1, for probabilities. */
export function createFaultRules(random: () => number): FaultRules {
  const rules = new Set<{ rule: FaultRule; matched: number; struck: number; known: Set<string> }>();
  const counts = new Map<string, number>();
  const hits: Hit[] = [];

  return {
    hits,
    add: (rule) => {
      const entry = { rule, matched: 0, struck: 0, known: new Set<string>() };
      rules.add(entry);
      return () => rules.delete(entry);
    },
    decide: (call) => {
      counts.set(call, (counts.get(call) ?? 0) + 1);
      for (const entry of rules) {
        const { calls, fault, skip = 0, times = Number.POSITIVE_INFINITY, probability = 1, oncePerCall } = entry.rule;
        if (!calls.test(call)) continue;
        entry.matched += 1;
        if (entry.matched <= skip || entry.struck >= times) continue;
        if (oncePerCall && entry.known.has(call)) continue;
        entry.known.add(call);
        if (probability < 1 && random() >= probability) continue;
        entry.struck += 1;
        hits.push({ call, kind: fault.kind });
        return fault;
      }
      return undefined;
    },
    seen: (calls) => [...counts].reduce((sum, [call, count]) => (calls.test(call) ? sum + count : sum), 0),
  };
}
