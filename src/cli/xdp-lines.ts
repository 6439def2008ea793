/**
 * The AF_XDP engine in `rhumb status`: where its program is, and a row for each queue. Pure.
 * @module
 */
import { type Cell, plain, table } from "#cli/output.ts";
import { lostFrames, type XdpStats } from "#state/xdp.ts";

const HEADS = ["QUEUE", "STATE", "FRAMES", "RECEIVED", "SENT", "LOST", "MALFORMED"];

export function xdpLines({ interface: name, mode, programId, queues }: XdpStats): string[] {
  const rows = queues.map(({ queue, counters }): Cell[] => {
    const lost = lostFrames(counters);
    return [
      String(queue),
      counters.open === 1 ? { text: "open", colour: "green" } : { text: "left to the kernel", colour: "yellow" },
      counters.zero_copy === 1 ? "shared (zero-copy)" : "copied",
      counters.received.toLocaleString("en"),
      counters.sent.toLocaleString("en"),
      { text: lost.toLocaleString("en"), colour: lost > 0 ? "yellow" : undefined },
      counters.malformed.toLocaleString("en"),
    ];
  });
  return [`xdp   ${plain(name)} in ${mode} mode, program ${programId}`, table(HEADS, rows), ""];
}
