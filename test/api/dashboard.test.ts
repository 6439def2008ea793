/** The dashboard without a browser: its policy fits its text, and text, script and API fit each other. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { EVENT_KINDS } from "#state/events.ts";
import { bearer, createWorld } from "./fake-world.ts";

const folder = join(import.meta.dirname, "../../src/api/dashboard");
const script = readFileSync(join(folder, "script.js"), "utf8");

test("the policy allows exactly the page's one style and one script, by hash", async () => {
  const { api } = createWorld();
  const response = await api.inject({ url: "/" });
  const policy = String(response.headers["content-security-policy"]);
  assert.ok(policy.includes("default-src 'none'") && policy.includes("frame-ancestors 'none'"));
  assert.doesNotMatch(policy, /unsafe|\*|https?:/);
  for (const [tag, directive] of [
    ["style", "style-src"],
    ["script", "script-src"],
  ] as const) {
    const blocks = [...response.body.matchAll(new RegExp(`<${tag}>([\\s\\S]*?)</${tag}>`, "g"))];
    assert.equal(blocks.length, 1, tag);
    const hash = createHash("sha256").update(blocks[0]![1]!).digest("base64");
    assert.ok(policy.includes(`${directive} 'sha256-${hash}'`), tag);
  }
  assert.doesNotMatch(response.body.replace(/<script>[\s\S]*<\/script>/, ""), / on[a-z]+=| style=|<script /);
});

test("the script writes text, never HTML, and keeps no token", () => {
  assert.doesNotMatch(
    script,
    /innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|localStorage|sessionStorage/,
  );
});

test("every element that the script asks for is in the page, once", async () => {
  const { api } = createWorld();
  const page = (await api.inject({ url: "/" })).body;
  const wanted = new Set(
    [...script.matchAll(/\$\("([a-z-]+)"\)|fill\(\s*"([a-z-]+)"/g)].map((match) => match[1] ?? match[2]!),
  );
  assert.ok(wanted.size > 20);
  for (const id of wanted) assert.equal(page.split(`id="${id}"`).length, 2, id);
});

test("every path that the script calls is a route, and the kinds of events are where it looks for them", async () => {
  const { api } = createWorld();
  const paths = [...script.matchAll(/(?:call\(\s*"[A-Z]+",\s*|EventSource\([^"]*|: )["`](\/[a-z./]+)/g)].map(
    (match) => match[1]!,
  );
  assert.ok(paths.length >= 6, paths.join(" "));
  for (const path of paths) {
    assert.ok(
      api.routes.some(({ url }) => url === path || url.startsWith(path)),
      path,
    );
  }
  const document = (await api.inject({ url: "/openapi.json", headers: bearer("read") })).json();
  assert.deepEqual(document.components.schemas.Event.properties.kind.enum, [...EVENT_KINDS]);
});
