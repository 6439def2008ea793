/** The pure parts of voting: the book, and who is in quarantine. */
import assert from "node:assert/strict";
import test from "node:test";
import fc from "fast-check";
import { type Ballot, type Confined, judgeVantages } from "#health/quarantine.ts";
import { createVoteBook, type VoteBook } from "#health/vote-book.ts";
import { type EndpointVote, type VantageVotes, VOTE_STATES, type VoteState } from "#state/votes.ts";

fc.configureGlobal({ seed: 20_261, numRuns: 300 });

// ── the book ─────────────────────────────────────────────────────────────────────────────────────────────────────────

const evidence = { errorClass: "", says: "", status: null, phasesMicros: [0, 0, 0, 0] } as const;
const vote = (endpoint: string, state: VoteState, ageMs = 0): EndpointVote => ({
  endpoint,
  state,
  ageMs,
  sinceMs: ageMs,
  evidence,
});
const message = (sequence: number, isWhole: boolean, votes: readonly EndpointVote[]): VantageVotes => ({
  vantage: "ns2",
  sequence,
  isWhole,
  isSound: true,
  votes,
});
const everything = () => true;
const statesIn = (book: VoteBook): Record<string, string> =>
  Object.fromEntries(
    [...book.vantages()]
      .flatMap(({ votes }) =>
        [...votes].map(
          ([
            key,
            {
              vote: { state },
            },
          ]) => [key, state],
        ),
      )
      .sort(),
  );

test("createVoteBook() ends up with the same votes in whatever order, and how often, messages come (any history)", () => {
  const endpoints = ["a", "b", "c"];
  const states = fc.array(fc.constantFrom(...VOTE_STATES, undefined), { minLength: 3, maxLength: 3 });
  const histories = fc.array(fc.tuple(fc.boolean(), states), { minLength: 1, maxLength: 8 });
  fc.assert(
    fc.property(histories, fc.infiniteStream(fc.nat()), (history, dice) => {
      // A vantage that probes, drops and takes up endpoints, tells the whole now and then, and at the end.
      const now = new Map<string, VoteState>();
      const messages = [...history, [true, []] as const].map(([isWhole, after], index) => {
        const changed: EndpointVote[] = [];
        for (const [at, state] of after.entries()) {
          if (state === undefined) continue;
          now.set(endpoints[at]!, state);
          changed.push(vote(endpoints[at]!, state));
        }
        const all = [...now].map(([endpoint, state]) => vote(endpoint, state));
        return message(index + 1, isWhole, isWhole ? all : changed);
      });
      const inOrder = createVoteBook();
      for (const one of messages) inOrder.take(one, everything, 0);
      const mixed = createVoteBook();
      const twice = [...messages, ...messages].map((one) => ({ one, at: dice.next().value as number }));
      for (const { one } of twice.sort((a, b) => a.at - b.at)) mixed.take(one, everything, 0);
      assert.deepEqual(statesIn(mixed), statesIn(inOrder));
      assert.deepEqual(statesIn(mixed), Object.fromEntries([...now].sort()));
    }),
  );
});

test("createVoteBook() counts ages from when a message was written, and keeps to what is watched", () => {
  const book = createVoteBook();
  book.take(
    message(1, true, [vote("a", "up", 4_000), vote("gone", "up")]),
    (endpoint) => endpoint === "a",
    100_000,
    500,
  );
  const [entry] = [...book.vantages()];
  assert.deepEqual([...entry!.votes.keys()], ["a"]);
  assert.equal(entry!.votes.get("a")!.evidenceMs, 95_500);
});

test("createVoteBook() tells what changed, and forgets whole vantages", () => {
  const book = createVoteBook();
  assert.deepEqual(book.take(message(1, true, [vote("a", "up"), vote("b", "up")]), everything, 0), [
    { endpoint: "a", before: undefined, after: "up" },
    { endpoint: "b", before: undefined, after: "up" },
  ]);
  assert.deepEqual(book.take(message(2, false, [vote("a", "failing")]), everything, 0), [
    { endpoint: "a", before: "up", after: "failing" },
  ]);
  assert.deepEqual(book.take(message(3, true, [vote("a", "failing")]), everything, 0), [
    { endpoint: "b", before: "up", after: undefined },
  ]);
  assert.deepEqual(book.drop("ns2"), [{ endpoint: "a", before: "failing", after: undefined }]);
  assert.deepEqual(book.drop("ns2"), []);
});

test("createVoteBook() leaves votes that it cannot read, and takes the others", () => {
  const book = createVoteBook();
  const odd = [
    { ...vote("a", "up"), state: "wobbling" as VoteState },
    { ...vote("b", "up"), ageMs: Number.NaN },
    { ...vote("c", "up"), evidence: undefined as never },
    { ...vote("e", "up"), evidence: { ...evidence, phasesMicros: null as never } },
    vote("d", "up"),
  ];
  book.take(message(1, true, odd), everything, 0);
  assert.deepEqual(statesIn(book), { d: "up" });
});

test("createVoteBook() begins anew with a vantage whose clock was set back, once it has been silent", () => {
  const book = createVoteBook();
  book.take(message(1_000, true, [vote("a", "down")]), everything, 0);
  book.take(message(5, true, [vote("a", "up")]), everything, 30_000);
  assert.deepEqual(statesIn(book), { a: "down" });
  book.take(message(6, true, [vote("a", "up")]), everything, 100_000);
  assert.deepEqual(statesIn(book), { a: "up" });
});

// ── quarantine ───────────────────────────────────────────────────────────────────────────────────────────────────────

/**
 * One word a region, one letter a vantage: `u` up, `d` just turned down, `o` down for long, `.` no fresh vote; several
 * addresses of a region with a slash between them.
 */
function ballotsOf(text: string): Ballot[] {
  return text.split(" ").flatMap((region, index) =>
    region.split("/").map(
      (letters): Ballot => ({
        region: `r${index}`,
        intervalMs: 5_000,
        votes: [...letters].flatMap((letter, at) => {
          if (letter === ".") return [];
          // Those that turned within one interval, each at its own moment of it.
          const sinceMs = letter === "d" ? 1_000_000 - 900 * index : letter === "o" ? 100_000 * index : 0;
          return [{ vantage: `v${at}`, isUp: letter === "u", sinceMs }];
        }),
      }),
    ),
  );
}
const judge = (
  text: string,
  over: { unsound?: readonly string[]; configured?: number; before?: Map<string, Confined>; nowMs?: number } = {},
) => {
  const ballots = ballotsOf(text);
  const names = [...new Set(ballots.flatMap(({ votes }) => votes.map(({ vantage }) => vantage)))].sort();
  const present = names.map((vantage) => ({ vantage, isSound: !over.unsound?.includes(vantage) }));
  return judgeVantages(over.before ?? new Map(), ballots, present, over.configured ?? 3, over.nowMs ?? 1_000_000);
};

for (const { name, ballots, unsound, configured, expected } of [
  { name: "all is well", ballots: "uuu uuu uuu uuu uuu", expected: [] },
  { name: "three of five turned bad for it alone", ballots: "duu duu duu uuu uuu", expected: ["v0"] },
  { name: "two of five are not enough", ballots: "duu duu uuu uuu uuu", expected: [] },
  { name: "three of six are not more than half", ballots: "duu duu duu uuu uuu uuu", expected: [] },
  { name: "four targets are too few", ballots: "duu duu duu duu", expected: [] },
  {
    name: "ten addresses of one region are one target",
    ballots: "duu/duu/duu/duu/duu/duu/duu/duu/duu/duu",
    expected: [],
  },
  { name: "the others see it too", ballots: "ddd ddd ddd duu duu", expected: [] },
  { name: "half of the others see it too", ballots: "ddu dud ddu dud ddu", expected: [] },
  { name: "it happened over many intervals", ballots: "ouu ouu ouu ouu ouu", expected: [] },
  { name: "one other is no witness", ballots: "du. du. du. du. du.", expected: [] },
  { name: "two vantages are configured", ballots: "du du du du du", configured: 2, expected: [] },
  { name: "it does not trust itself", ballots: "uuu", unsound: ["v1"], expected: ["v1"] },
  { name: "most do not trust themselves", ballots: "uuu", unsound: ["v1", "v2"], expected: [] },
  {
    name: "two of five do not trust themselves",
    ballots: "uuuuu",
    unsound: ["v1", "v2"],
    configured: 5,
    expected: ["v1", "v2"],
  },
  { name: "what distrusts itself is no witness", ballots: "duu duu duu duu duu", unsound: ["v2"], expected: ["v2"] },
]) {
  test(`judgeVantages() when ${name}: ${expected.join(", ") || "nobody"}`, () =>
    assert.deepEqual(
      [...judge(ballots, { ...(unsound && { unsound }), ...(configured && { configured }) }).keys()].sort(),
      expected,
    ));
}

test("judgeVantages() lets a vantage out after 60 s without contradiction, and counts anew after a relapse", () => {
  const sick = "duu duu duu duu duu";
  const well = "uuu uuu uuu uuu uuu";
  let before = new Map(judge(sick));
  const at = (text: string, second: number): boolean => {
    before = new Map(judge(text, { before, nowMs: 1_000_000 + second * 1_000 }));
    return before.has("v0");
  };
  assert.ok(at("duu duu uuu uuu uuu", 10)); // two of five are still more than a quarter
  assert.ok(at(well, 20));
  assert.ok(at(well, 70));
  assert.ok(at("duu duu uuu uuu uuu", 75));
  assert.ok(at(well, 80));
  assert.ok(at(well, 139));
  assert.ok(!at(well, 140));
});

test("judgeVantages() never excludes all, nor most of three (any votes)", () => {
  const letters = fc.array(fc.constantFrom("u", "d", "o", "."), { minLength: 3, maxLength: 5 });
  const regions = fc.array(
    letters.map((all) => all.join("")),
    { minLength: 5, maxLength: 9 },
  );
  fc.assert(
    fc.property(regions, fc.subarray(["v0", "v1", "v2", "v3", "v4"]), (words, unsound) => {
      const confined = judge(words.join(" "), { unsound, configured: 5 });
      const present = new Set(ballotsOf(words.join(" ")).flatMap(({ votes }) => votes.map(({ vantage }) => vantage)));
      for (const vantage of confined.keys()) assert.ok(present.has(vantage));
      assert.ok(confined.size < Math.max(1, present.size), `${[...confined.keys()]} of ${[...present]}`);
    }),
  );
});
