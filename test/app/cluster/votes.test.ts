/** When votes are told: changes at once by a signal, and soon as a record for those who hear no signals. */
import assert from "node:assert/strict";
import test from "node:test";
import { joinVotes } from "#app/cluster/votes.ts";
import { createManualClock } from "#base/clock.ts";
import { silentLog } from "#base/log.ts";
import type { Shared } from "#state/shared.ts";
import type { HealthSnapshot } from "#state/snapshot.ts";
import type { EndpointVote, VantageVotes } from "#state/votes.ts";

test("votes that lay in a store are as old as their record", () => {
  const taken: [string, number | undefined][] = [];
  let hear: (key: string, record: unknown, isOwn: boolean, ageMs: number) => void = () => {};
  let signal: (node: string, votes: VantageVotes) => void = () => {};
  const shared = {
    publish: () => {},
    onRecord(_kind: string, listener: typeof hear) {
      hear = listener;
    },
    onSignal(_kind: string, listener: typeof signal) {
      signal = listener;
    },
  } as unknown as Shared;
  const health = {
    votes: () => ({ votes: [] }) as unknown as VantageVotes,
    onVotes: () => () => {},
    takeVotes: ({ vantage }: VantageVotes, delayMs?: number) => void taken.push([vantage, delayMs]),
    dropVantage: () => {},
  };
  joinVotes({ shared, health, node: "ns1", clock: createManualClock(), log: silentLog });
  const votes = { vantage: "ns2", votes: [] } as unknown as VantageVotes;
  hear("ns2", { body: votes }, false, 9_000);
  signal("ns2", votes);
  hear("ns1", { body: { ...votes, vantage: "ns1" } }, true, 0);
  assert.deepEqual(taken, [
    ["ns2", 9_000],
    ["ns2", undefined],
  ]);
});

function bed(votes: number) {
  const clock = createManualClock();
  const book = {
    vantage: "ns1",
    votes: Array.from({ length: votes }, (): Partial<EndpointVote> => ({})),
  } as unknown as VantageVotes;
  const told: { how: "record" | "signal"; atMs: number }[] = [];
  let change: (votes: VantageVotes) => void = () => {};
  const startMs = clock.monotonicMs();
  const note = (how: "record" | "signal") => () => void told.push({ how, atMs: clock.monotonicMs() - startMs });
  const shared = {
    publish: note("record"),
    signal: note("signal"),
    onRecord: () => {},
    onSignal: () => {},
  } as unknown as Shared;
  const health = {
    votes: () => book,
    onVotes(listener: typeof change) {
      change = listener;
      return () => {};
    },
    takeVotes: () => {},
    dropVantage: () => {},
  };
  const joined = joinVotes({ shared, health, node: "ns1", clock, log: silentLog });
  joined.apply({ checks: [], vantage: "ns1" } as unknown as HealthSnapshot);
  return { clock, told, change: () => change(book), close: () => joined.close() };
}

const cases: readonly {
  readonly what: string;
  readonly votes: number;
  readonly changesAtMs: number[];
  readonly records: number[];
}[] = [
  { what: "nothing changes: every 5 s", votes: 3, changesAtMs: [], records: [0, 5_000, 10_000] },
  {
    what: "a change tells all at once, and the next 5 s later",
    votes: 3,
    changesAtMs: [2_000],
    records: [0, 2_000, 7_000],
  },
  {
    what: "changes in a row: no more than one a second",
    votes: 3,
    changesAtMs: [100, 200, 300, 1_500],
    records: [0, 1_000, 2_000, 7_000],
  },
  { what: "600 votes: no more than 200 a second", votes: 600, changesAtMs: [100], records: [0, 3_000, 8_000] },
  { what: "a great book is told as often as ever", votes: 10_000, changesAtMs: [100], records: [0, 5_000, 10_000] },
];

for (const { what, votes, changesAtMs, records } of cases)
  test(`votes as records: ${what}`, () => {
    const { clock, told, change, close } = bed(votes);
    for (let atMs = 0; atMs <= 10_000; atMs += 100) {
      if (changesAtMs.includes(atMs)) change();
      if (atMs < 10_000) clock.advance(100);
    }
    close();
    assert.deepEqual(
      told.filter(({ how }) => how === "record").map(({ atMs }) => atMs),
      records,
    );
    assert.deepEqual(
      told.filter(({ how }) => how === "signal").map(({ atMs }) => atMs),
      changesAtMs,
    );
  });
