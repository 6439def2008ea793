/**
 * Bulk answers without sockets: one zone and one question a line in, one answer a line out.
 *
 * Owns:    the line format of `rhumb answer --jsonl`. The answers come through the same `Respond` as those of the
 *          transports, over TCP, so that nothing is cut off.
 * @module
 */
import { recordTexts } from "#app/record-text.ts";
import { formatProblem, hasErrors, type Problem } from "#base/problem.ts";
import type { Steering } from "#dns/answer/steering.ts";
import { OPEN_GUARD } from "#dns/guard/open-guard.ts";
import { createResponder } from "#dns/respond.ts";
import { decodeMessage } from "#dns/wire/decode-message.ts";
import { MAX_TCP_MESSAGE_OCTETS } from "#dns/wire/edns.ts";
import { encodeQuery } from "#dns/wire/encode-query.ts";
import { parseName } from "#dns/wire/name.ts";
import { rcodeText } from "#dns/wire/rcodes.ts";
import { TYPE, typeNumber } from "#dns/wire/types.ts";
import { buildZone } from "#dns/zone/build.ts";
import { checkZone } from "#dns/zone/check.ts";
import { parseZone } from "#dns/zone/parse.ts";
import { tidyRecords } from "#dns/zone/tidy.ts";
import { createCounterSlots, DNS_COUNTERS } from "#state/counters.ts";
import { createClient, TRANSPORT } from "#state/respond.ts";
import type { ZoneImage } from "#state/zone-image.ts";

export type JsonlAnswer = {
  readonly rcode: string;
  readonly aa: boolean;
  /** Records as `owner ttl IN TYPE rdata`. */
  readonly answer: readonly string[];
  readonly authority: readonly string[];
  readonly additional: readonly string[];
};

const HASH_SEED = 0x52687562; // nobody attacks this table
const FILE = "zone";

/** There are no services here: a STEER name is answered SERVFAIL. */
const NO_STEERING: Steering = {
  serviceNumber: () => -1,
  hasType: () => false,
  ttlMaxSeconds: () => 0,
  ttlMinSeconds: () => 0,
  resolve: () => undefined,
};

/**
 * @param line JSON: `{"zone": master file text, "query": {"Name", "Type"}}`. The zone's name is that of its SOA.
 * @returns JSON of a `JsonlAnswer`. A zone that is refused is answered as a server would that cannot load it: SERVFAIL,
 *   with `problems`, one string each. A line that is no such request gives `{"error"}`.
 */
export function answerJsonLine(line: string): string {
  let input: { zone?: unknown; query?: { Name?: unknown; Type?: unknown } };
  try {
    input = JSON.parse(line);
  } catch (cause) {
    return JSON.stringify({ error: `The line is no JSON: ${(cause as Error).message}` });
  }
  const { zone, query } = input ?? {};
  if (typeof zone !== "string" || typeof query?.Name !== "string" || typeof query.Type !== "string") {
    return JSON.stringify({ error: 'The line must look like {"zone": text, "query": {"Name": text, "Type": text}}' });
  }
  const name = parseName(query.Name);
  const type = typeNumber(query.Type);
  if (typeof name === "number" || type < 0) {
    return JSON.stringify({ error: `Cannot ask for ${query.Name} ${query.Type}: no such name or type` });
  }
  const parsed = parseZone(zone, { file: FILE });
  const apex = [...parsed.records].find((record) => record.type === TYPE.SOA)?.owner;
  const problems: Problem[] = [...parsed.problems];
  if (apex) problems.push(...checkZone(parsed.records, apex, FILE));
  if (!apex || hasErrors(problems)) {
    const texts = problems.map(formatProblem);
    return JSON.stringify({ rcode: "SERVFAIL", aa: false, answer: [], authority: [], additional: [], problems: texts });
  }
  const image = buildZone(tidyRecords(parsed.records), apex, { file: FILE, seed: HASH_SEED });
  return JSON.stringify(answerFrom(image, name, type));
}

function answerFrom(image: ZoneImage, name: Uint8Array, type: number): JsonlAnswer {
  const respond = createResponder({
    snapshot: {
      zones: [image],
      unloadableZones: [],
      nsid: new Uint8Array(0),
      chaos: { version: undefined, id: undefined },
      ecs: false,
      tcp: { idleMs: 0 },
    },
    steering: NO_STEERING,
    guard: OPEN_GUARD,
    counters: createCounterSlots(DNS_COUNTERS.length),
    clock: { nowMs: () => 0 },
  });
  const client = createClient();
  client.transport = TRANSPORT.tcp;
  const out = new Uint8Array(MAX_TCP_MESSAGE_OCTETS);
  const query = encodeQuery(name, type);
  const message = decodeMessage(out.subarray(0, respond(query, query.length, client, out)));
  if (typeof message === "number") return { rcode: "SERVFAIL", aa: false, answer: [], authority: [], additional: [] };
  return {
    rcode: rcodeText(message.rcode),
    aa: message.isAuthoritative,
    answer: recordTexts(message.answer),
    authority: recordTexts(message.authority),
    additional: recordTexts(message.additional),
  };
}
