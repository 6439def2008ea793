/** W3C Trace Context: the cases of its §3 and §4. */
import assert from "node:assert/strict";
import test from "node:test";
import { childOf, parseTraceparent, traceOf, writeTrace } from "#l7/headers/trace-context.ts";

const ID = "4bf92f3577b34da6a3ce929d0e0e4736";
const SPAN = "00f067aa0ba902b7";
const GOOD = `00-${ID}-${SPAN}-01`;
const newId = (digits: number): string => "a".repeat(digits);

for (const [text, isSampled] of [
  [GOOD, true],
  [`00-${ID}-${SPAN}-00`, false],
  [`00-${ID}-${SPAN}-fe`, false],
  [`01-${ID}-${SPAN}-01`, true],
  [`cc-${ID}-${SPAN}-01-what-the-future-says`, true],
] as const)
  test(`parseTraceparent() takes ${text}`, () => {
    assert.deepEqual(parseTraceparent(text), { traceId: ID, spanId: SPAN, isSampled });
  });
for (const text of [
  undefined,
  "",
  `ff-${ID}-${SPAN}-01`,
  `00-${ID}-${SPAN}-01-x`,
  `cc-${ID}-${SPAN}-01.x`,
  `00-${"0".repeat(32)}-${SPAN}-01`,
  `00-${ID}-${"0".repeat(16)}-01`,
  `00-${ID.toUpperCase()}-${SPAN}-01`,
  `00-${ID}-${SPAN}-1`,
  `0-${ID}-${SPAN}-01`,
  ` ${GOOD}`,
])
  test(`parseTraceparent() refuses ${text}`, () => assert.equal(parseTraceparent(text), undefined));

test("traceOf() goes on with the caller's trace, and writeTrace() says our span in place of the caller's", () => {
  const fields = ["traceparent", GOOD, "a", "b", "tracestate", "x=1", "tracestate", "y@z=2 , , w/1=3"];
  const trace = traceOf(fields, newId, false);
  assert.deepEqual(trace, {
    traceId: ID,
    spanId: newId(16),
    parentId: SPAN,
    isSampled: true,
    state: "x=1,y@z=2,w/1=3",
  });
  writeTrace(fields, trace);
  assert.deepEqual(fields, ["a", "b", "traceparent", `00-${ID}-${newId(16)}-01`, "tracestate", "x=1,y@z=2,w/1=3"]);
  assert.equal(childOf(trace, () => "c").parentId, trace.spanId);
});
for (const [name, fields] of [
  ["there is none", ["tracestate", "x=1"]],
  ["it cannot be read", ["traceparent", "x", "tracestate", "x=1"]],
  ["there are two", ["traceparent", GOOD, "traceparent", GOOD]],
] as const)
  test(`traceOf() begins a trace where ${name}, without its state`, () => {
    const trace = traceOf(fields, newId, true);
    assert.deepEqual(trace, {
      traceId: newId(32),
      spanId: newId(16),
      parentId: undefined,
      isSampled: true,
      state: undefined,
    });
    const out = [...fields];
    writeTrace(out, trace);
    assert.deepEqual(out, ["traceparent", `00-${newId(32)}-${newId(16)}-01`]);
  });
for (const state of ["X=1", "x", "x=", "x=1,x=2", "=1", "x=a=b", `x=${"y".repeat(257)}`, `${"x".repeat(257)}=1`, ","])
  test(`traceOf() drops the state ${state.slice(0, 20)}, and goes on`, () => {
    const trace = traceOf(["traceparent", GOOD, "tracestate", state], newId, false);
    assert.equal(trace.state, undefined);
    assert.equal(trace.traceId, ID);
  });
test("traceOf() keeps 32 members, and no more", () => {
  const state = (count: number) => Array.from({ length: count }, (_, index) => `k${index}=v`).join(",");
  const of = (count: number) => traceOf(["traceparent", GOOD, "tracestate", state(count)], newId, false).state;
  assert.equal(of(32), state(32));
  assert.equal(of(33), undefined);
});
