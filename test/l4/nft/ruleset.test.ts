/** Golden files: `UPDATE_GOLDEN=1` writes them anew; look at what `git diff` says then. */
import assert from "node:assert/strict";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { removalScript, renderRuleset } from "#l4/nft/ruleset.ts";
import { CASES } from "./cases.ts";
import { inNamespace, withoutKernel } from "./kernel.ts";

const golden = join(import.meta.dirname, "golden");

describe("renderRuleset()", () => {
  for (const { name, input } of CASES) {
    test(`${name} is as in its golden file`, () => {
      const file = join(golden, `${name}.nft`);
      if (process.env["UPDATE_GOLDEN"]) writeFileSync(file, renderRuleset(input));
      assert.equal(renderRuleset(input), readFileSync(file, "utf8"));
    });

    test(`${name} is taken by the kernel, twice`, { skip: withoutKernel() }, () => {
      const file = join(golden, `${name}.nft`);
      const { code, err } = inNamespace(`ip link add eth0 type veth peer name eth1
nft -c -f ${file}
nft -f ${file}
nft -f ${file}`);
      assert.equal(code, 0, err.slice(0, 2_000));
    });
  }

  test("golden files have their cases", () => {
    const files = readdirSync(golden).map((file) => file.replace(/\.nft$/, ""));
    assert.deepEqual(files.sort(), CASES.map(({ name }) => name).sort());
  });

  test("tables of others stay", { skip: withoutKernel() }, () => {
    const { code, out, err } = inNamespace(
      `nft add table inet mine
nft add table netdev rhumb2
nft -f "${join(golden, "nft-ipv4-tcp-weights.nft")}"
nft -f -
nft list tables`,
      removalScript("rhumb"),
    );
    assert.equal(code, 0, err);
    assert.deepEqual(out.trim().split("\n").sort(), ["table inet mine", "table netdev rhumb2"]);
  });
});
