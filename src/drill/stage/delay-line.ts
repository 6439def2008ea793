/**
 * One direction of a way: what is put in comes out in its order, each piece after its delay. Held, nothing comes out; what
 * was held comes out when it is let go, as a sender repeats what was not acknowledged.
 *
 * Never:   looks at what it carries. Units: ms.
 * @module
 */
import type { Clock, Timer } from "#base/clock.ts";

export type DelayLine = {
  /** @param carry called when it arrives */
  push(delayMs: number, carry: () => void): void;
  hold(): void;
  release(): void;
  /** Forgets what is under way. */
  clear(): void;
};

export function createDelayLine({ monotonicMs, after }: Pick<Clock, "monotonicMs" | "after">): DelayLine {
  let pending: { readonly dueMs: number; readonly carry: () => void }[] = [];
  let timer: Timer | undefined;
  let isHeld = false;

  function arrange(): void {
    timer?.cancel();
    timer = undefined;
    const [first] = pending;
    if (first && !isHeld) timer = after(Math.max(0, first.dueMs - monotonicMs()), flush);
  }
  function flush(): void {
    timer = undefined;
    const nowMs = monotonicMs();
    while (!isHeld && pending.length > 0 && pending[0]!.dueMs <= nowMs) pending.shift()!.carry();
    if (timer === undefined) arrange();
  }
  return {
    push(delayMs, carry) {
      // Never before what was sent earlier, though the delay may have shrunk since.
      const dueMs = Math.max(monotonicMs() + delayMs, pending.at(-1)?.dueMs ?? 0);
      pending.push({ dueMs, carry });
      if (pending.length === 1) arrange();
    },
    hold() {
      isHeld = true;
      arrange();
    },
    release() {
      isHeld = false;
      arrange();
    },
    clear() {
      pending = [];
      arrange();
    },
  };
}
