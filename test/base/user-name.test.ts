import assert from "node:assert/strict";
import test from "node:test";
import { userName } from "#base/user-name.ts";

test("userName() is the user's name, or its number where passwd does not know it", () => {
  assert.equal(
    userName(() => ({ username: "kim" })),
    "kim",
  );
  const unknown = userName(() => {
    throw new Error("uv_os_get_passwd returned ENOENT");
  });
  assert.equal(unknown, `uid-${process.getuid!()}`);
});
