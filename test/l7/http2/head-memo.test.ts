/** What is known of a request's fields: only where the last request of the connection said the same to the same host. */
import assert from "node:assert/strict";
import test from "node:test";
import { block, type Field, FLAG, frame, GET, TYPE } from "./frames.ts";
import { MemoryFront } from "./memory-front.ts";

const SAME: readonly Field[] = [...GET, ["user-agent", "x"], ["accept", "*/*"]];
const withValue = (name: string, value: string): Field[] => SAME.map((one) => (one[0] === name ? [name, value] : one));
const OTHERS: readonly (readonly [what: string, fields: readonly Field[], isKnown: boolean])[] = [
  ["the same", SAME, true],
  ["another path", withValue(":path", "/b"), true],
  ["another host", withValue(":authority", "b.example"), false],
  ["another value", withValue("accept", "text/html"), false],
  ["another order", [...GET, ["accept", "*/*"], ["user-agent", "x"]], false],
  ["one field more", [...SAME, ["x-one", "1"]], false],
  ["a long field more", [...SAME, ["x-long", "1".repeat(5_000)]], false],
];
for (const [what, fields, isKnown] of OTHERS)
  test(`a request that says ${what} is ${isKnown ? "known" : "not known"}, and the next one like it is`, () => {
    const front = new MemoryFront().begin();
    [SAME, fields, fields].forEach((said, index) => {
      front.say(frame(TYPE.headers, FLAG.endHeaders | FLAG.endStream, index * 2 + 1, block(said)));
    });
    const known = front.seen.map(({ head }) => head.known?.fields);
    const { head } = front.seen[2]!;
    assert.deepEqual(
      known.map((one) => one !== undefined),
      [false, isKnown, !what.startsWith("a long")],
    );
    if (known[2] !== undefined) assert.deepEqual(known[2], head.fields);
    assert.notEqual(known[2], head.fields, "who edits the fields of a request does not edit what is known");
  });
