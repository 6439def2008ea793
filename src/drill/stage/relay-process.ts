/**
 * The process of the relays: a child of the stage, told by messages; it ends with its parent.
 * @module
 */
import { systemClock } from "#base/clock.ts";
import { createSeededRng } from "#base/rng.ts";
import type { LinkSpec, LinkState } from "#drill/stage/link.ts";
import { createRelay } from "#drill/stage/relay.ts";

export type ToRelay =
  | { readonly kind: "open"; readonly number: number; readonly links: readonly LinkSpec[] }
  | {
      readonly kind: "change";
      readonly number: number;
      readonly ids: readonly string[];
      readonly change: Partial<LinkState>;
    }
  | { readonly kind: "owns"; readonly number: number; readonly name: string; readonly pid: number };

/** First "ready"; then each message is answered once it is done. */
export type FromRelay = { readonly number: number; readonly failed?: string };

const relay = createRelay({ clock: systemClock, rng: createSeededRng(1) });
process.on("message", async (message: ToRelay) => {
  let failed: string | undefined;
  try {
    if (message.kind === "open") await relay.open(message.links);
    else if (message.kind === "change") relay.change(message.ids, message.change);
    else relay.owns(message.name, message.pid);
  } catch (error) {
    failed = (error as Error).message;
  }
  process.send?.({ number: message.number, ...(failed === undefined ? {} : { failed }) } satisfies FromRelay);
});
process.on("disconnect", () => process.exit(0));
process.send?.("ready");
