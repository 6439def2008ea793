/**
 * Records through Redis: keys that expire are the truth, a channel is the speed.
 *
 * Owns:    the keys of records and their indexes (`REDIS_KEYS`).
 * Never:   trusts Redis to remember: it is a mailbox. Whatever it lacks or has older (restarted empty, failed over to a
 *          replica that lagged, written by two at once) the nodes write back within two rounds, signatures and all.
 *
 * A round, once a second: read the indexes (those of `override`, `config`, `latency` and `evacuation` every third time), compare stamps,
 * fetch what is newer there, write what is newer here. Each step is harmless when repeated, and none needs another to be
 * atomic with it; so it works alike on one server, behind Sentinels, and over the slots of a Redis Cluster.
 *
 * Traffic of a node, in octets a second, without the framing of RESP: sent 2 × Σ (its own records that changed, each at most
 * once a second) + its signals; received Σ (key and stamp, some 60) over the live records + a third of that over the others
 * + Σ (records of others that changed, once each).
 * Units:   ms, octets.
 * @module
 */
import type { Clock, Timer } from "#base/clock.ts";
import type { Log } from "#base/log.ts";
import type { Rng } from "#base/rng.ts";
import { type Entry, isOffered, RECORD_LIMITS } from "#cluster/records.ts";
import { connectRedis, REDIS_KEYS, type Redis } from "#cluster/redis.ts";
import { type RedisClient, redisText } from "#cluster/redis-client.ts";
import { followNews, type RedisNews } from "#cluster/redis-news.ts";
import { idOf, isStamp, readCopy, readLine, stampOf, writeCopy } from "#cluster/seal.ts";
import { compareDigest, type Digest, ROUND_MS, type Transport, type TransportHost } from "#cluster/transport.ts";
import type { RedisSpec } from "#state/cluster.ts";
import { RECORD_KINDS, type RecordKind } from "#state/shared.ts";

const ASK_LIMIT_MS = 2_000;
/** What changes together goes together. */
const FLUSH_MS = 10;
/** Larger ones are found by the next round. */
const MAX_NEWS_OCTETS = 16_384;
/** Signals a second; what is beyond is dropped, and told by the record within its round. */
const MAX_SIGNALS_PER_ROUND = 50;
const SELDOM: readonly RecordKind[] = ["override", "config", "latency", "evacuation"];
const SELDOM_ROUNDS = 3;
const FETCHES_AT_ONCE = 32;
/** What was refused is not asked for again for so many rounds. */
const REFUSED_ROUNDS = 30;
/** So many rounds others wait for the writer of a record to write it back, and readers for a key to come. */
const PATIENCE_ROUNDS = 2;
const MAX_GRAVE_MS = 86_400_000;

export function createRedisTransport(options: {
  readonly spec: RedisSpec;
  readonly node: string;
  readonly host: TransportHost;
  readonly clock: Clock;
  readonly rng: Rng;
  readonly log: Log;
  /** The two connections; by default those to `spec`. */
  readonly connections?: { readonly redis: Redis; followNews(onMessage: (message: string) => void): RedisNews };
}): Transport {
  const { spec, node, host, clock, rng, log } = options;
  const { table } = host;
  const redis = options.connections?.redis ?? connectRedis({ spec, clock, log, rng });
  const where = redisText(spec);
  const octets = { sent: 0, received: 0 };
  const dirty = new Set<string>();
  const writtenAtMs = new Map<string, number>();
  /** By id and stamp. */
  const missing = createPatience();
  const unfound = createPatience();
  /** By id and stamp: the round in which it was refused here. */
  const refused = new Map<string, number>();
  let round = 0;
  let isReading = false;
  let isClosed = false;
  let isConnected = false;
  /** Every index is to be read: the connection is new. */
  let isWhole = true;
  let signals = 0;
  let flushTimer: Timer | undefined;
  let roundTimer: Timer | undefined;

  /** A copy begins with its age, a signal with the form's name. */
  function hear(message: string): void {
    octets.received += message.length;
    if (message.length > 0 && message.charCodeAt(0) <= 0x39) host.take(message);
    else host.takeSignal(message);
  }
  const news = options.connections?.followNews(hear) ?? followNews({ spec, clock, rng, onMessage: hear });
  redis.onChange((isUp) => {
    if (isUp) {
      isWhole = true;
      start();
    } else isConnected = false;
  });

  // ── writing ────────────────────────────────────────────────────────────────────────────────────────────────────

  /** Until when Redis keeps it: to its end; a grave for as long as it is remembered, but no longer than a day. 0: for good. */
  function lifeMs(entry: Entry, nowMs: number): number {
    const untilMs = entry.isGrave ? Math.min(entry.forgetAtMs, nowMs + MAX_GRAVE_MS) : entry.endsAtMs;
    return Number.isFinite(untilMs) ? Math.max(1, Math.ceil(untilMs - nowMs)) : 0;
  }
  async function write(client: RedisClient, entry: Entry, isNews: boolean): Promise<unknown> {
    const nowMs = clock.monotonicMs();
    const { kind, key } = entry.record;
    const name = REDIS_KEYS.record(kind, key);
    const life = lifeMs(entry, nowMs);
    const copy = writeCopy(nowMs - entry.madeAtMs, entry.text);
    const value = `${life} ${copy}`;
    const isSmall = copy.length <= MAX_NEWS_OCTETS;
    octets.sent += name.length + value.length + key.length + entry.stamp.length + (isNews && isSmall ? copy.length : 0);
    writtenAtMs.set(entry.id, nowMs);
    return Promise.all([
      life === 0 ? client.set(name, value) : client.set(name, value, "PX", life),
      client.hset(REDIS_KEYS.index(kind), key, entry.stamp),
      isNews && isSmall ? client.publish(REDIS_KEYS.news, copy) : undefined,
    ]);
  }
  /** Sends what has changed. A record that was sent less than a round ago waits for its turn, unless people wait for it. */
  function flush(): void {
    flushTimer = undefined;
    if (!redis.isUp()) return; // the first round after it is back writes what it lacks
    const nowMs = clock.monotonicMs();
    const due: Entry[] = [];
    for (const id of dirty) {
      const entry = table.find(id);
      const isEarly = nowMs - (writtenAtMs.get(id) ?? -ROUND_MS) < ROUND_MS - 2 * FLUSH_MS;
      if (entry && isEarly && !SELDOM.includes(entry.record.kind)) continue;
      dirty.delete(id);
      if (entry) due.push(entry);
    }
    if (due.length > 0)
      void redis.ask((client) => Promise.all(due.map((entry) => write(client, entry, true))), ASK_LIMIT_MS);
  }

  // ── reading ────────────────────────────────────────────────────────────────────────────────────────────────────

  async function readIndexes(kinds: readonly RecordKind[]): Promise<Digest | undefined> {
    const indexes = await redis.ask(
      (client) => Promise.all(kinds.map((kind) => client.hgetall(REDIS_KEYS.index(kind)))),
      ASK_LIMIT_MS,
    );
    if (!indexes) return undefined;
    const digest = new Map<string, string>();
    for (const [position, index] of indexes.entries()) {
      for (const [key, stamp] of Object.entries(index)) {
        octets.received += key.length + stamp.length;
        digest.set(idOf(kinds[position]!, key), stamp);
      }
    }
    return digest;
  }
  /** @returns whether Redis answered */
  async function fetch(ids: readonly string[], stamps: Digest, gone: string[]): Promise<boolean> {
    const values = await redis.ask(
      (client) =>
        Promise.all(
          ids.map((id) => {
            const { kind, name } = nameOf(id);
            // No more than a record may have: what lies there need not be one of ours.
            return Promise.all([client.getrange(name, 0, RECORD_LIMITS[kind].octets + 64), client.pttl(name)]);
          }),
        ),
      ASK_LIMIT_MS,
    );
    if (!values) return false;
    for (const [position, [value, leftMs]] of values.entries()) {
      const id = ids[position]!;
      octets.received += value.length;
      if (value === "") gone.push(id);
      else take(id, value, leftMs, stamps.get(id)!);
    }
    return true;
  }
  function take(id: string, value: string, leftMs: number, stamp: string): void {
    const space = value.indexOf(" ");
    const lifeMs = Number(value.slice(0, Math.max(0, space)));
    const copy = readCopy(value.slice(space + 1));
    // For as long as it lay there it grew older.
    const lainMs = lifeMs > 0 && leftMs >= 0 ? Math.max(0, lifeMs - leftMs) : 0;
    const taken = host.take(copy ? writeCopy(copy.ageMs + lainMs, copy.text) : "");
    if (table.find(id)?.stamp === stamp) return;
    // An older one lies where the index says a newer one: two wrote at once. The index follows what is there, so that
    // whoever has the newer one sees that it is lacking; likewise where nobody can read what is there.
    const line = copy ? readLine(copy.text) : "damaged";
    const there = typeof line === "object" && taken !== "damaged" ? stampOf(line) : undefined;
    if (there === stamp) {
      refused.set(`${id} ${stamp}`, round);
      return;
    }
    const { kind, key } = nameOf(id);
    const index = REDIS_KEYS.index(kind);
    void redis.ask<unknown>(
      (client) => (there === undefined ? client.hdel(index, key) : client.hset(index, key, there)),
      ASK_LIMIT_MS,
    );
  }

  /** What is owed to Redis: at once where we wrote it, and what others wrote if they do not come to it themselves. */
  function dueOf(offer: readonly Entry[]): Entry[] {
    return offer.filter(
      ({ id, stamp, record: { version } }) => version.node === node || missing.isOver(`${id} ${stamp}`, round),
    );
  }

  async function read(): Promise<void> {
    round++;
    signals = 0;
    const kinds = RECORD_KINDS.filter((kind) => isWhole || round % SELDOM_ROUNDS === 0 || !SELDOM.includes(kind));
    isWhole = false;
    const digest = await readIndexes(kinds);
    if (isClosed) return;
    if (!digest) {
      isConnected = false;
      isWhole = true;
      return;
    }
    for (const [id, since] of refused) if (round - since >= REFUSED_ROUNDS) refused.delete(id);
    missing.prune(round);
    unfound.prune(round);
    const { offer, want } = compareDigest(table, kinds, digest);
    const wanted = want.filter((id) => !refused.has(`${id} ${digest.get(id)}`));
    const gone: string[] = [];
    for (let at = 0; at < wanted.length; at += FETCHES_AT_ONCE) {
      if (await fetch(wanted.slice(at, at + FETCHES_AT_ONCE), digest, gone)) continue;
      isConnected = false;
      return;
    }
    const due = dueOf(offer);
    const buried = [...digest].filter(([id, stamp]) => isBuried(id, stamp)).map(([id]) => id);
    const isWritten = await writeBack(due, [...buried, ...lost(gone, digest)]);
    isConnected = isWritten;
  }
  /** The index names what has ended, as we know it. */
  function isBuried(id: string, stamp: string): boolean {
    const entry = table.find(id);
    return (entry?.stamp === stamp && !isOffered(entry)) || !isStamp(stamp);
  }
  /** Keys that the index names, and that have not come for some rounds. */
  function lost(gone: readonly string[], digest: Digest): string[] {
    return gone.filter((id) => unfound.isOver(`${id} ${digest.get(id)}`, round));
  }
  async function writeBack(due: readonly Entry[], dropped: readonly string[]): Promise<boolean> {
    if (due.length === 0 && dropped.length === 0) return true;
    const done = await redis.ask(
      (client) =>
        Promise.all([
          ...due.map((entry) => write(client, entry, false)),
          ...dropped.map((id) => client.hdel(REDIS_KEYS.index(nameOf(id).kind), nameOf(id).key)),
        ]),
      ASK_LIMIT_MS,
    );
    return done !== undefined;
  }

  function start(): void {
    roundTimer?.cancel();
    if (isClosed) return;
    roundTimer = clock.after(ROUND_MS, start);
    if (dirty.size > 0) flush();
    if (isReading) return;
    isReading = true;
    read()
      .catch((error) => log.error({ error }, "A round of reading Redis failed"))
      .finally(() => {
        isReading = false;
      });
  }
  start();

  return {
    changed({ id }) {
      dirty.add(id);
      flushTimer ??= clock.after(FLUSH_MS, flush);
    },
    signal(text) {
      if (!redis.isUp() || ++signals > MAX_SIGNALS_PER_ROUND) return;
      octets.sent += text.length;
      void redis.ask((client) => client.publish(REDIS_KEYS.news, text), ASK_LIMIT_MS);
    },
    isConnected: () => isConnected,
    says() {
      if (!isConnected) return `Redis does not answer (${where}): ${redis.why()}`;
      const deaf = news.says();
      return `Records go through ${where}${deaf === "" ? "" : `, changes seconds late: its channel is not heard (${deaf})`}`;
    },
    octets: () => octets,
    close() {
      isClosed = true;
      flushTimer?.cancel();
      roundTimer?.cancel();
      news.close();
      redis.close();
    },
  };
}

/** Whether something has been seen for some rounds on end. */
function createPatience(): { isOver(what: string, round: number): boolean; prune(round: number): void } {
  const seen = new Map<string, { readonly first: number; last: number }>();
  return {
    isOver(what, round) {
      const before = seen.get(what) ?? { first: round, last: round };
      before.last = round;
      seen.set(what, before);
      return round - before.first >= PATIENCE_ROUNDS;
    },
    prune(round) {
      for (const [what, { last }] of seen) if (round - last > SELDOM_ROUNDS) seen.delete(what);
    },
  };
}

function nameOf(id: string): { readonly kind: RecordKind; readonly key: string; readonly name: string } {
  const space = id.indexOf(" ");
  const kind = id.slice(0, space) as RecordKind;
  const key = id.slice(space + 1);
  return { kind, key, name: REDIS_KEYS.record(kind, key) };
}
