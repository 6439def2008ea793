import assert from "node:assert/strict";
import test from "node:test";
import { isCalm, readCores, runCalmRounds, type Weather, weatherBetween } from "../../bench/lib/calm.ts";

const CALM: Weather = { stolen: 0, foreign: 0.01, loadCore: 0.5 };
const STAT = `cpu  100 5 50 1000 20 3 7 40 90 9
cpu0 60 5 30 500 10 1 3 10 0 0
cpu1 40 0 20 500 10 2 4 30 0 0
intr 12345 0
`;

test("readCores() adds up what each core did, guests once", () => {
  const cores = readCores(STAT);
  assert.deepEqual([...cores.keys()], ["cpu", "cpu0", "cpu1"]);
  assert.deepEqual(cores.get("cpu"), { tasks: 155, interrupts: 10, stolen: 40, all: 1225 });
});

test("weatherBetween() tells what was stolen, what others did, and how busy the load's core was", () => {
  const at = (text: string, ownTicks: number) => ({ cores: readCores(text), ownTicks });
  const before = at("cpu 0 0 0 0 0 0 0 0 0 0\ncpu1 0 0 0 0 0 0 0 0 0 0\n", 1_000);
  const after = at("cpu 60 10 30 94 0 2 2 2 0 0\ncpu1 40 0 10 46 0 2 2 0 0 0\n", 1_080);
  assert.deepEqual(weatherBetween(before, after, 1), { stolen: 2 / 200, foreign: 20 / 200, loadCore: 54 / 100 });
});
test("weatherBetween() takes what the kernel's two ways to count differ by for nothing", () => {
  const at = (tasks: number, ownTicks: number) => ({
    cores: readCores(`cpu ${tasks} 0 0 100 0 0 0 0\ncpu0 0 0 0 0 0 0 0 0\n`),
    ownTicks,
  });
  assert.equal(weatherBetween(at(0, 0), at(50, 53), 0).foreign, 0);
});

for (const { name, weather, expected } of [
  { name: "counts a round on a calm machine", weather: CALM, expected: true },
  { name: "counts however busy the load itself is", weather: { ...CALM, loadCore: 1 }, expected: true },
  {
    name: "does not count a round of which the host took one part in a hundred",
    weather: { ...CALM, stolen: 0.01 },
    expected: false,
  },
  { name: "does not count a round in which other programs ran", weather: { ...CALM, foreign: 0.2 }, expected: false },
]) {
  test(`isCalm() ${name}`, () => assert.equal(isCalm(weather), expected));
}

/** Subjects that answer with the round's number, on a machine whose weather the table gives. */
function bedOf(names: readonly string[], weathers: (round: number) => Weather) {
  let round = 0;
  const turns: string[] = [];
  const subjects = names.map((name) => ({
    name,
    async measure() {
      turns.push(name);
      round++;
      return { sample: { p99: round }, weather: weathers(round) };
    },
  }));
  return { subjects, turns, nowMs: () => round * 1_000 };
}

test("runCalmRounds() measures all in turn, and those again whose rounds were not calm", async () => {
  const { subjects, turns, nowMs } = bedOf(["a", "b"], (round) => (round === 2 ? { ...CALM, stolen: 0.5 } : CALM));
  const { samples, measured, counted } = await runCalmRounds(subjects, { wanted: 2, patienceMs: 60_000, nowMs });
  assert.deepEqual(turns, ["a", "b", "a", "b", "b"]);
  assert.deepEqual({ measured, counted }, { measured: 5, counted: 4 });
  assert.deepEqual(samples.get("b"), [
    { p99: 4, loadCore: 0.5 },
    { p99: 5, loadCore: 0.5 },
  ]);
});
test("runCalmRounds() ends when patience does, with what there is", async () => {
  const { subjects, turns, nowMs } = bedOf(["a"], () => ({ ...CALM, foreign: 0.9 }));
  const { samples, measured, counted } = await runCalmRounds(subjects, { wanted: 1, patienceMs: 3_000, nowMs });
  assert.deepEqual({ samples: samples.get("a"), measured, counted }, { samples: [], measured: 3, counted: 0 });
  assert.equal(turns.length, 3);
});
