import assert from "node:assert/strict";
import test from "node:test";
import { createInTurn } from "#base/in-turn.ts";

test("createInTurn() begins each task when those before it are over, failed ones too", async () => {
  const inTurn = createInTurn();
  const done: string[] = [];
  const first = Promise.withResolvers<void>();
  const results = [
    inTurn(async () => {
      await first.promise;
      done.push("first");
      throw new Error("boom");
    }),
    inTurn(async () => {
      done.push("second");
      return 2;
    }),
  ];
  await Promise.resolve();
  assert.deepEqual(done, []);
  first.resolve();
  await assert.rejects(results[0]!, { message: "boom" });
  assert.equal(await results[1], 2);
  assert.deepEqual(done, ["first", "second"]);
});
