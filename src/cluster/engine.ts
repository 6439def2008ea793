/**
 * What nodes share, as one engine: takes and gives records, whatever carries them.
 *
 * Owns:    the table of records, this node's epoch and sequence, its heartbeat, and what is told of the others.
 * Never:   interprets a body, waits for anybody, or throws for what others sent. Without other nodes it works alone, and
 *          takes nothing from outside.
 * Units:   ms.
 * @module
 */
import { type Clock, systemClock, type Timer } from "#base/clock.ts";
import type { Log } from "#base/log.ts";
import { createClusterAlarms } from "#cluster/alarms.ts";
import { answerExchange } from "#cluster/exchange.ts";
import { createKeyring, type Identity } from "#cluster/identity.ts";
import { createKeep } from "#cluster/keep.ts";
import { createPeerTable } from "#cluster/peers.ts";
import { createRecordTable, type Entry, RECORD_LIMITS } from "#cluster/records.ts";
import { createRefusals, isRefused } from "#cluster/refusals.ts";
import {
  idOf,
  isSharedKind,
  type Line,
  ownsItsKey,
  readBody,
  readCopy,
  readLine,
  sealRecord,
  sealSignal,
  writeCopy,
} from "#cluster/seal.ts";
import type { Store } from "#cluster/store.ts";
import { ROUND_MS, type TakenAs, type Transport, type TransportHost } from "#cluster/transport.ts";
import type { ClusterSnapshot } from "#state/cluster.ts";
import type { Emit } from "#state/events.ts";
import type { RecordDoor } from "#state/exchange.ts";
import {
  compareVersions,
  type Heartbeat,
  RECORD_KINDS,
  type RecordBodies,
  type RecordKind,
  type RecordVersion,
  type Shared,
  type SharedRecord,
  type SignalBodies,
  type SignalKind,
} from "#state/shared.ts";

const HEARTBEAT_TTL_MS = 10_000;
const MAX_SIGNAL_OCTETS = 1_048_576;

/** @returns what carries records between the nodes of this configuration; undefined: there is nobody else */
export type Connect = (snapshot: ClusterSnapshot, node: string, host: TransportHost) => Transport | undefined;

export type ClusterOptions = {
  readonly node: string;
  readonly identity: Identity;
  readonly store: Pick<Store, "get" | "put" | "remove" | "keys">;
  readonly log: Log;
  readonly emit: Emit;
  /** What this node says of itself, asked once a second. */
  readonly heartbeat: () => Heartbeat;
  readonly connect: Connect;
  readonly clock?: Clock;
  /** Another process still is this node: nothing is told or heard until `join()`. */
  readonly isAway?: boolean;
};

export type Cluster = Shared & {
  apply(snapshot: ClusterSnapshot): void;
  /** From now on another process is this node: two that speak for one would each outdo what the other said. */
  leave(): void;
  /** From now on this process is the node. */
  join(): void;
  /** What other nodes ask by the control API. */
  readonly door: RecordDoor;
  close(): void;
};

/** Until the first `apply()` it is alone. */
export function createCluster(options: ClusterOptions): Cluster {
  const { node, identity, store, log, emit, heartbeat, connect, clock = systemClock } = options;
  const steadyMs = () => clock.monotonicMs();
  const table = createRecordTable(steadyMs);
  const keep = createKeep({ store, clock, log });
  const peerTable = createPeerTable(node, steadyMs, () => clock.nowMs());
  const refusals = createRefusals({ clock, emit });
  const alarms = createClusterAlarms({ clock, emit });
  const recordListeners = new Map<
    RecordKind,
    ((key: string, record: never, isOwn: boolean, ageMs: number) => void)[]
  >();
  const signalListeners = new Map<SignalKind, ((node: string, body: never) => void)[]>();
  const lastSignals = new Map<string, RecordVersion>();

  let snapshot: ClusterSnapshot = { redis: undefined, nodes: [], peers: [], maxSkewMs: Number.POSITIVE_INFINITY };
  let keyring = createKeyring([]);
  let transport: Transport | undefined;
  let epoch = keep.nextEpoch(1);
  let sequence = 0;
  let isAway = options.isAway ?? false;
  let isClosed = false;
  let timer: Timer | undefined;
  keep.restore(table);

  // ── telling ────────────────────────────────────────────────────────────────────────────────────────────────────

  function call(work: () => void): void {
    try {
      work();
    } catch (error) {
      log.error({ error }, "What a node shares could not be used here");
    }
  }
  function tell({ record, isGrave, madeAtMs }: Entry): void {
    const { kind, key, version } = record;
    const ageMs = Math.max(0, steadyMs() - madeAtMs);
    for (const listener of recordListeners.get(kind) ?? [])
      call(() => listener(key, (isGrave ? undefined : record) as never, version.node === node, ageMs));
  }

  // ── giving ─────────────────────────────────────────────────────────────────────────────────────────────────────

  function publish<Kind extends RecordKind>(
    kind: Kind,
    key: string,
    body: RecordBodies[Kind],
    ttlMs: number,
    how: { readonly isNewEpoch?: boolean } = {},
  ): SharedRecord<Kind> {
    const version = isSharedKind(kind)
      ? { ...table.nextVersion(kind, how.isNewEpoch), node }
      : { epoch, sequence: ++sequence, node };
    const record: SharedRecord<Kind> = {
      kind,
      key: key.toWellFormed(),
      version,
      atMs: Math.round(clock.nowMs()),
      ttlMs: Math.round(Math.min(Math.max(ttlMs, 0), Number.MAX_SAFE_INTEGER)),
      body,
    };
    const line = readLine(sealRecord(record, identity.sign));
    // What cannot be kept here others would refuse as well: it is told as refused, and reaches nobody.
    if (typeof line === "string" || isTooLarge(line) || table.accept(line, body, 0) !== "new") {
      refusals.add("full", node);
      return record;
    }
    const entry = table.find(idOf(kind, record.key))!;
    keep.put(entry);
    tell(entry);
    transport?.changed(entry);
    return record;
  }

  // ── taking ─────────────────────────────────────────────────────────────────────────────────────────────────────

  const isTooLarge = (line: Line): boolean => Buffer.byteLength(line.text) > RECORD_LIMITS[line.kind].octets;

  /** All that can be said before the signature is looked at, which costs most. */
  function judge(line: Line): TakenAs | undefined {
    if (!keyring.knows(line.version.node)) return "unknownNode";
    if (!ownsItsKey(line)) return "damaged";
    return isTooLarge(line) ? "full" : undefined;
  }
  function takeLine(line: Line, ageMs: number): TakenAs {
    const { kind, key, version } = line;
    const judged = judge(line);
    if (judged !== undefined) return judged;
    const before = table.find(idOf(kind, key));
    if (before?.text === line.text) return "known";
    const order = before ? compareVersions(version, before.record.version) : 1;
    if (order < 0) return "old";
    if (!keyring.verify(line)) return "damaged";
    if (version.node === node && !isSharedKind(kind)) return outgrow(version);
    const body = readBody(line);
    if (!body) return "damaged";
    const wasLive = before !== undefined && !before.isGrave;
    const taken = table.accept(line, body, ageMs);
    if (taken !== "new") return taken;
    const entry = table.find(idOf(kind, key))!;
    if (kind === "heartbeat") call(() => peerTable.heard(version, body as Heartbeat, ageMs));
    keep.put(entry);
    if (!entry.isGrave || wasLive) tell(entry);
    return "new";
  }
  /**
   * Others hold a record of ours that this process did not make, and that is newer than what it made: the store was lost, or
   * the clock turned back. We go on above it.
   */
  function outgrow(held: RecordVersion): TakenAs {
    if (held.epoch < epoch) return "old"; // of an earlier life; ours follows
    epoch = keep.nextEpoch(held.epoch + 1);
    sequence = 0;
    log.warn({ epoch }, "Others know more of this node than it does itself: it begins a new epoch");
    for (const kind of RECORD_KINDS) {
      if (isSharedKind(kind)) continue;
      for (const { key, body, version, ttlMs } of table.live(kind)) {
        if (version.node === node) publish(kind, key, body as never, ttlMs);
      }
    }
    return "old";
  }

  const host: TransportHost = {
    table,
    take(copy) {
      const read = readCopy(copy);
      const line = read ? readLine(read.text) : "damaged";
      const taken =
        typeof line === "string" ? line : line.signal !== undefined ? "damaged" : takeLine(line, read!.ageMs);
      if (isRefused(taken)) refusals.add(taken, typeof line === "string" ? "" : line.version.node);
      return taken;
    },
    takeSignal(text) {
      const line = readLine(text);
      if (typeof line === "object" && line.version.node === node) return; // an echo of our own
      const refused = typeof line === "string" ? line : judgeSignal(line);
      if (refused !== undefined) refusals.add(refused, typeof line === "string" ? "" : line.version.node);
      if (refused !== undefined || typeof line === "string") return;
      const body = readBody(line);
      if (!body || line.signal === undefined) return;
      lastSignals.set(`${line.signal} ${line.version.node}`, line.version);
      for (const listener of signalListeners.get(line.signal) ?? [])
        call(() => listener(line.version.node, body as never));
    },
  };
  function judgeSignal(line: Line) {
    if (line.signal === undefined) return "damaged";
    if (!keyring.knows(line.version.node)) return "unknownNode";
    if (line.text.length > MAX_SIGNAL_OCTETS) return "full";
    const last = lastSignals.get(`${line.signal} ${line.version.node}`);
    if (last && compareVersions(line.version, last) <= 0) return "old";
    return keyring.verify(line) ? undefined : "damaged";
  }

  // ── time ───────────────────────────────────────────────────────────────────────────────────────────────────────

  const others = (): string[] => snapshot.nodes.map(({ name }) => name).filter((name) => name !== node);
  function tick(): void {
    const { ended, forgotten } = table.sweep();
    for (const entry of forgotten) keep.remove(entry);
    for (const entry of ended) tell(entry);
    call(() => publish("heartbeat", node, { ...heartbeat(), clocks: peerTable.clocks(others()) }, HEARTBEAT_TTL_MS));
    refusals.tick();
    const { isConnected, says } = status();
    // Who is away hears nobody, and that is no news.
    if (!isAway) alarms.tick({ isConnected, says, peers: peerTable.list(others()), maxSkewMs: snapshot.maxSkewMs });
    if (!isClosed) timer = clock.after(ROUND_MS, tick);
  }
  timer = clock.after(0, tick);

  function status(): ReturnType<Shared["status"]> {
    const records = Object.fromEntries(RECORD_KINDS.map((kind) => [kind, table.live(kind).length]));
    const isAlone = transport === undefined && !isAway;
    return {
      by: isAlone ? "alone" : snapshot.redis ? "redis" : "peers",
      isConnected: transport?.isConnected() ?? isAlone,
      says: transport?.says() ?? (isAway ? "Another process is this node" : "This node is alone: it shares nothing"),
      records: records as Record<RecordKind, number>,
      refused: refusals.counts(),
      octets: transport?.octets() ?? { sent: 0, received: 0 },
    };
  }

  /** Others refuse what is signed by a key that they have not enrolled. */
  function checkOwnKey(): void {
    const own = snapshot.nodes.find(({ name }) => name === node);
    if (!own || own.key === identity.publicKey) return;
    emit({
      kind: "cluster.refused",
      atMs: clock.nowMs(),
      severity: "alarm",
      subject: `key/${node}`,
      says: `The others refuse what this node shares: cluster.nodes.${node}.key is not its key. Its key is ${identity.publicKey}`,
    });
  }

  function reconnect(): void {
    transport?.close();
    transport = isAway || others().length === 0 ? undefined : connect(snapshot, node, host);
    alarms.restart();
  }

  return {
    publish,
    signal(kind, body: SignalBodies[SignalKind]) {
      if (!transport) return;
      const version = { epoch, sequence: ++sequence, node };
      transport.signal(sealSignal({ kind, version, atMs: Math.round(clock.nowMs()), body }, identity.sign));
    },
    records: (kind) => table.live(kind) as never,
    onRecord(kind, listener) {
      recordListeners.set(kind, [...(recordListeners.get(kind) ?? []), listener as never]);
    },
    onSignal(kind, listener) {
      signalListeners.set(kind, [...(signalListeners.get(kind) ?? []), listener as never]);
    },
    peers: () => peerTable.list(others()),
    status,
    door: {
      exchange: (request) => answerExchange(host, request, steadyMs()),
      take(line) {
        const taken = host.take(writeCopy(0, line));
        return isRefused(taken) ? taken : undefined;
      },
    },
    apply(next) {
      const hasMoved = JSON.stringify({ ...next, maxSkewMs: 0 }) !== JSON.stringify({ ...snapshot, maxSkewMs: 0 });
      snapshot = next;
      if (!hasMoved) return;
      keyring = createKeyring(next.nodes);
      checkOwnKey();
      reconnect();
    },
    leave() {
      isAway = true;
      reconnect();
    },
    join() {
      if (!isAway) return;
      isAway = false;
      reconnect();
    },
    close() {
      isClosed = true;
      timer?.cancel();
      transport?.close();
      transport = undefined;
    },
  };
}
