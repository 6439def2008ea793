/** Test helper: nodes with a configuration folder, a door and a store each, and records that go between them when the test says so. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { createManualClock } from "#base/clock.ts";
import { silentLog } from "#base/log.ts";
import { openStore, type Store } from "#cluster/store.ts";
import { compile } from "#config/compile.ts";
import { createDesired, type PushRequest, type TakenVersion } from "#config/create-desired.ts";
import { loadConfig } from "#config/load.ts";
import { createConfigDoor } from "#config/propose.ts";
import type { RhumbEvent } from "#state/events.ts";
import { compareVersions, type RecordKind, type RecordVersion, type Shared, type SharedRecord } from "#state/shared.ts";
import type { Snapshot } from "#state/snapshot.ts";
import { copyGood, NOW_MS, SECRETS, testContext } from "./load-good.ts";

type Harness = { after(callback: () => void): void };
type Listener = (key: string, record: SharedRecord<"config"> | undefined, isOwn: boolean) => void;

/** Records of one node: the newest of each key. What is published waits in `outbox` until the test delivers it. */
export function fakeShared(node: string, nowMs: () => number) {
  const table = new Map<string, SharedRecord<"config">>();
  const listeners: Listener[] = [];
  const outbox: SharedRecord<"config">[] = [];
  let greatest: RecordVersion = { epoch: 1, sequence: 0, node: "" };
  const take = (record: SharedRecord<"config">): void => {
    const before = table.get(record.key);
    if (before && compareVersions(record.version, before.version) <= 0) return;
    table.set(record.key, record);
    if (compareVersions(record.version, greatest) > 0) greatest = record.version;
    for (const listener of listeners) listener(record.key, record, record.version.node === node);
  };
  const shared: Pick<Shared, "publish" | "records" | "onRecord" | "status"> = {
    publish(kind, key, body, ttlMs, how) {
      const { epoch, sequence } = greatest;
      const version = how?.isNewEpoch
        ? { epoch: epoch + 1, sequence: 1, node }
        : { epoch, sequence: sequence + 1, node };
      const record = { kind, key, version, atMs: nowMs(), ttlMs, body };
      outbox.push(record as unknown as SharedRecord<"config">);
      take(record as unknown as SharedRecord<"config">);
      return record;
    },
    records: (_kind: RecordKind) => [...table.values()] as never,
    onRecord: (_kind, listener) => void listeners.push(listener as never),
    status: () => ({ by: "peers", isConnected: true }) as never,
  };
  return { shared, take, outbox, table };
}

export async function startDesired(
  t: Harness,
  node: string,
  options: {
    folder?: string;
    store?: Store;
    shared?: ReturnType<typeof fakeShared>;
    edit?: (folder: string) => void;
  } = {},
) {
  const clock = createManualClock(NOW_MS);
  const folder = options.folder ?? copyGood(t);
  options.edit?.(folder);
  const store = options.store ?? openStore({ folder: ":memory:", clock });
  const net = options.shared ?? fakeShared(node, () => clock.nowMs());
  const context = testContext();
  const applied: Snapshot[] = [];
  const events: RhumbEvent[] = [];
  const taken: TakenVersion[] = [];
  const door = createConfigDoor({
    load: (pushed) => loadConfig(join(folder, "rhumb.yaml"), { env: SECRETS, pushed }),
    compile: (files, overlay, previous) =>
      compile(files, { ...context, overlay, previous, generation: { epoch: 0, sequence: 0 }, nowMs: clock.nowMs() }),
    apply: async (snapshot) => void applied.push(snapshot),
    store,
    log: silentLog,
    emit: (event) => events.push(event),
    clock,
  });
  const desired = createDesired({
    door,
    shared: net.shared,
    store,
    log: silentLog,
    emit: (event) => events.push(event),
    clock,
    onTaken: (one) => taken.push(one),
  });
  await door.propose({ source: "start" });
  await desired.start();
  const read = (name: string): string => readFileSync(join(folder, name), "utf8");
  return {
    node,
    door,
    desired,
    store,
    net,
    folder,
    applied,
    events,
    taken,
    clock,
    read,
    kinds: () => events.map(({ kind, severity }) => `${kind} ${severity}`),
    push: (request: Partial<PushRequest>) =>
      desired.push({ actor: "kim", reason: "a test", breakGlass: null, isDryRun: false, ...request }),
    serving: () =>
      door.current()?.pushed && `${door.current()!.pushed!.version.sequence}.${door.current()!.pushed!.version.node}`,
    ttl: (service: string) => applied.at(-1)?.services.find(({ name }) => name === service)?.ttlMaxSeconds,
  };
}
export type World = Awaited<ReturnType<typeof startDesired>>;

/** Delivers what each of `from` has published to all of `to`, and waits until they have settled it. */
export async function deliver(from: readonly World[], to: readonly World[]): Promise<void> {
  for (let more = true; more; ) {
    more = false;
    for (const sender of from) {
      for (const record of sender.net.outbox.splice(0)) {
        more = true;
        for (const receiver of to) receiver.net.take(structuredClone(record));
      }
    }
    await Promise.all([...from, ...to].map(({ desired }) => desired.idle()));
  }
}
