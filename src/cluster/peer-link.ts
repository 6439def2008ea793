/**
 * The way to one other node by HTTP: what changes is pushed, and once a second both are compared.
 *
 * Owns:    one exchange at a time, its time limit, and the pauses while the other is away.
 * Never:   keeps a queue: what a lost exchange was to bring the next comparison finds. Never tells the token.
 * Units:   ms, octets.
 * @module
 */
import { readFileSync } from "node:fs";
import { Agent as HttpAgent, request as httpRequest, type IncomingMessage } from "node:http";
import { Agent as HttpsAgent, request as httpsRequest } from "node:https";
import { text } from "node:stream/consumers";
import { backoffMs } from "#base/backoff.ts";
import type { Clock, Timer } from "#base/clock.ts";
import type { Rng } from "#base/rng.ts";
import { batchOf, compareWith, LIVE_KINDS } from "#cluster/exchange.ts";
import type { Entry } from "#cluster/records.ts";
import { ROUND_MS, type TransportHost } from "#cluster/transport.ts";
import { MAX_EXCHANGE_OCTETS, type RecordExchange, type RecordExchangeAnswer } from "#state/exchange.ts";
import { RECORD_KINDS, type RecordKind } from "#state/shared.ts";
import type { PeerSpec } from "#state/snapshot.ts";

/** What changes together goes together. */
const PUSH_MS = 10;
const TIMEOUT_MS = 3_000;
const PAUSE_CAP_MS = 5_000;
/** Signals that wait for one exchange; what is beyond the records tell. */
const MAX_SIGNALS = 50;

export type PeerLink = {
  push(id: string): void;
  signal(text: string): void;
  isUp(): boolean;
  /** Why it is not up. */
  why(): string;
  octets(): { readonly sent: number; readonly received: number };
  close(): void;
};

/** Sends a request and gives its answer as text. @throws Error that says in a few words why there is none */
export type Post = (path: string, body: string) => Promise<string>;

export function createPeerLink(options: {
  readonly peer: PeerSpec;
  readonly host: TransportHost;
  readonly clock: Clock;
  readonly rng: Rng;
  readonly post?: Post;
}): PeerLink {
  const { peer, host, clock, rng } = options;
  const http = options.post ? undefined : createPost(peer);
  const post = options.post ?? http!.post;
  const octets = { sent: 0, received: 0 };
  const changed = new Set<string>();
  let signals: string[] = [];
  /** Kinds that the comparisons of this round name stamp by stamp. */
  let kinds: readonly RecordKind[] = RECORD_KINDS;
  /** What was given in this round because the other asked for it: each once, whatever it asks. */
  const given = new Set<string>();
  let isDueToCompare = true;
  let isAsking = false;
  let isClosed = false;
  let isUp = false;
  let failures = 0;
  let pausedUntilMs = 0;
  let lastError = "not asked yet";
  let pushTimer: Timer | undefined;
  let roundTimer: Timer | undefined;

  async function exchange(): Promise<void> {
    const { table } = host;
    const nowMs = clock.monotonicMs();
    const entries = [...changed].map((id) => table.find(id)).filter((entry): entry is Entry => entry !== undefined);
    const copies = batchOf(entries, nowMs);
    for (const { id } of entries.slice(0, copies.length)) changed.delete(id);
    if (entries.length === 0) changed.clear();
    const request: RecordExchange = {
      copies,
      signals,
      ...(isDueToCompare ? compareWith(table, kinds) : { kinds: [], digest: {}, sums: {} }),
    };
    signals = [];
    isDueToCompare = false;
    const body = JSON.stringify(request);
    octets.sent += body.length;
    const answer = await post("/records", body);
    octets.received += answer.length;
    take(readAnswer(answer));
  }
  function take({ copies, want, unequal }: RecordExchangeAnswer): void {
    if (isClosed) return;
    for (const copy of copies) host.take(copy);
    for (const id of want) {
      if (given.has(id)) continue;
      given.add(id);
      changed.add(id);
    }
    const more = unequal.filter((kind) => !kinds.includes(kind));
    if (more.length === 0) return;
    kinds = [...kinds, ...more];
    isDueToCompare = true;
  }

  function run(): void {
    pushTimer = undefined;
    if (isAsking || isClosed || clock.monotonicMs() < pausedUntilMs) return;
    isAsking = true;
    void exchange()
      .then(
        () => {
          isUp = true;
          failures = 0;
        },
        (error: Error) => {
          isUp = false;
          lastError = error.message;
          pausedUntilMs = clock.monotonicMs() + backoffMs(failures++, ROUND_MS, PAUSE_CAP_MS, rng);
        },
      )
      .then(() => {
        isAsking = false;
        if (changed.size > 0 || signals.length > 0 || isDueToCompare) soon();
      });
  }
  function soon(): void {
    if (!isClosed) pushTimer ??= clock.after(PUSH_MS, run);
  }
  function tick(): void {
    roundTimer = clock.after(ROUND_MS, tick);
    isDueToCompare = true;
    kinds = isUp ? LIVE_KINDS : RECORD_KINDS;
    given.clear();
    run();
  }
  tick();

  return {
    push(id) {
      changed.add(id);
      soon();
    },
    signal(text) {
      if (!isUp || signals.length >= MAX_SIGNALS) return;
      signals.push(text);
      soon();
    },
    isUp: () => isUp,
    why: () => lastError,
    octets: () => octets,
    close() {
      isClosed = true;
      pushTimer?.cancel();
      roundTimer?.cancel();
      http?.close();
    },
  };
}

/** What is not such an answer says nothing. @throws Error where it is not JSON */
function readAnswer(text: string): RecordExchangeAnswer {
  const answer = JSON.parse(text) as Partial<Record<keyof RecordExchangeAnswer, unknown>>;
  const texts = (value: unknown): string[] =>
    Array.isArray(value) ? value.filter((item) => typeof item === "string") : [];
  const unequal = texts(answer.unequal);
  return {
    copies: texts(answer.copies),
    want: texts(answer.want),
    unequal: RECORD_KINDS.filter((kind) => unequal.includes(kind)),
  };
}

function createPost({ url, token, caFile }: PeerSpec): { readonly post: Post; close(): void } {
  const isTls = url.startsWith("https:");
  const agent = isTls
    ? new HttpsAgent({ keepAlive: true, maxSockets: 1, ...trusting(caFile) })
    : new HttpAgent({ keepAlive: true, maxSockets: 1 });
  return {
    async post(path, body) {
      const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
      const signal = AbortSignal.timeout(TIMEOUT_MS);
      const request = (isTls ? httpsRequest : httpRequest)(
        new URL(path, url),
        {
          method: "POST",
          agent,
          signal,
          headers: {
            accept: "application/json",
            authorization: `Bearer ${token}`,
            "content-type": "application/json",
            "content-length": Buffer.byteLength(body),
          },
        },
        resolve,
      );
      request.on("error", (error) =>
        reject(signal.aborted ? new Error(`no answer within ${TIMEOUT_MS / 1_000} s`) : error),
      );
      request.end(body);
      const response = await promise;
      let received = 0;
      response.on("data", (chunk: Buffer) => {
        received += chunk.length;
        if (received > MAX_EXCHANGE_OCTETS) response.destroy(new Error("the answer is too long"));
      });
      const answer = await text(response);
      if (response.statusCode !== 200) throw new Error(`HTTP ${response.statusCode}`);
      return answer;
    },
    close: () => agent.destroy(),
  };
}

/** Authorities that cannot be read (`config/` has said so) are none: the handshake fails, and is tried again. */
function trusting(caFile: string | undefined) {
  if (caFile === undefined) return {};
  try {
    return { ca: readFileSync(caFile), allowPartialTrustChain: true };
  } catch {
    return {};
  }
}
