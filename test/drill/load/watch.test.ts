import assert from "node:assert/strict";
import test from "node:test";
import { createSeededRng } from "#base/rng.ts";
import { createQuestion, type DnsAnswer } from "#drill/load/dns-question.ts";
import { createWatch, NodeWord, type Word } from "#drill/load/watch.ts";
import { answerTo, EU, NAME, startNameServer, US } from "./bed.ts";

const answer = (addresses: readonly string[], ttlSeconds = 5, rcode = "NOERROR"): DnsAnswer => ({
  rcode,
  isTruncated: false,
  addresses,
  ttlSeconds,
});
const told = (word: Word | undefined): string | undefined =>
  typeof word === "object" ? word.addresses.join(" ") || word.rcode : word;

for (const { name, said, expected } of [
  {
    name: "tells an answer once, whatever its TTL counts down to",
    said: [answer([US], 5), answer([US], 4), answer([EU], 5), answer([EU], 5)],
    expected: [US, undefined, EU, undefined],
  },
  {
    name: "tells the same addresses in another order",
    said: [answer([US, EU]), answer([EU, US])],
    expected: [`${US} ${EU}`, `${EU} ${US}`],
  },
  {
    name: "tells errors and empty answers",
    said: [answer([US]), answer([], 0, "SERVFAIL"), answer([])],
    expected: [US, "SERVFAIL", "NOERROR"],
  },
  {
    name: "is silent after three questions in a row, and tells the next answer even if it is the old one",
    said: [answer([US]), undefined, undefined, undefined, undefined, answer([US])],
    expected: [US, undefined, undefined, "silent", undefined, US],
  },
  {
    name: "is not silent for questions that were lost one by one",
    said: [answer([US]), undefined, undefined, answer([US]), undefined, undefined, answer([US])],
    expected: [US, undefined, undefined, undefined, undefined, undefined, undefined],
  },
])
  test(`NodeWord ${name}`, () => {
    const word = new NodeWord();
    assert.deepEqual(
      said.map((each, sequence) => told(word.note(sequence, each))),
      expected,
    );
  });

test("NodeWord hears nothing that is older than the newest answer", () => {
  const word = new NodeWord();
  assert.equal(told(word.note(5, answer([EU]))), EU);
  assert.equal(word.note(4, answer([US])), undefined);
  for (const sequence of [1, 2, 3]) assert.equal(word.note(sequence, undefined), undefined);
  assert.equal(told(word.note(6, answer([US]))), US);
});

test("createWatch() tells what each node says, and when it changes or says nothing", async (context) => {
  let region: string | undefined = US;
  const changing = await startNameServer(context, (query, send) => {
    if (region !== undefined) send(answerTo(query, { addresses: [region] }));
  });
  const steady = await startNameServer(context, (query, send) => send(answerTo(query, { addresses: [EU] })));
  const words: string[] = [];
  let look = (): void => {};
  const until = async (count: number): Promise<void> => {
    while (words.length < count) {
      watch.ask();
      await Promise.race([
        new Promise<void>((resolve) => {
          look = resolve;
        }),
        new Promise((resolve) => setTimeout(resolve, 20)),
      ]);
    }
  };
  const watch = createWatch(
    [
      { node: "ns1", at: changing },
      { node: "ns2", at: steady },
    ],
    createQuestion({ name: NAME, subnet: "198.51.100.0/24", isRecursive: false })!,
    createSeededRng(1),
    (node, word) => {
      words.push(`${node} ${told(word)}`);
      look();
    },
  );
  context.after(() => watch.close());
  await until(2);
  assert.deepEqual([...words].sort(), [`ns1 ${US}`, `ns2 ${EU}`]);
  region = EU;
  await until(3);
  region = undefined;
  await until(4);
  await changing.close();
  region = EU;
  assert.deepEqual(words.slice(2), [`ns1 ${EU}`, "ns1 silent"]);
});
