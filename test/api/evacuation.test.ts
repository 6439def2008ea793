/** Routes of evacuations: what they hand on, refuse and write into the audit log. */
import assert from "node:assert/strict";
import test from "node:test";
import { bearer, createWorld } from "./fake-world.ts";

const open = () => ({ ...createWorld(), headers: bearer("operate") });

test("evacuate hands on terms and force, and the audit log says why", async () => {
  const { api, calls, audit, headers } = open();
  const payload = { reason: "kernel upgrade", force: true, weights: [50, 0], weightWaitMs: 5_000 };
  const answer = await api.inject({ method: "POST", url: "/regions/eu-west/evacuate", headers, payload });
  assert.equal(answer.statusCode, 202, answer.body);
  assert.deepEqual(calls.at(-1)?.input, [{ ...payload, region: "eu-west" }]);
  assert.match(JSON.stringify(audit.list()), /region\/eu-west by force: kernel upgrade/);
});

for (const [what, payload] of [
  ["no reason", {}],
  ["an empty reason", { reason: "  " }],
  ["a weight above 99", { reason: "r", weights: [100, 0] }],
  ["no weight", { reason: "r", weights: [] }],
  ["a word that it does not know", { reason: "r", wait: 5 }],
] as const)
  test(`evacuate refuses ${what}`, async () => {
    const { api, calls, headers } = open();
    const answer = await api.inject({ method: "POST", url: "/regions/eu-west/evacuate", headers, payload });
    assert.equal(answer.statusCode, 400);
    assert.deepEqual(calls, []);
  });

test("return, stop and resume go to their commands; what is not evacuated is refused", async () => {
  const { api, calls, headers } = open();
  for (const verb of ["return", "stop"]) await api.inject({ method: "POST", url: `/regions/eu-west/${verb}`, headers });
  await api.inject({ method: "POST", url: "/regions/eu-west/resume", headers, payload: { force: true } });
  assert.deepEqual(
    calls.map(({ command, input }) => [command, input]),
    [
      ["returnRegion", ["eu-west"]],
      ["stopEvacuation", ["eu-west"]],
      ["resumeEvacuation", ["eu-west", true]],
    ],
  );
  const refused = await api.inject({ method: "POST", url: "/regions/us-east/return", headers });
  assert.deepEqual([refused.statusCode, refused.json().code], [409, "RHUMB_EVACUATION_NONE"]);
});

test("GET /evacuations shows all, and one by its region", async () => {
  const { api, headers } = open();
  const all = (await api.inject({ method: "GET", url: "/evacuations", headers })).json();
  assert.deepEqual([all.length, all[0].step, all[0].curve], [1, "tail", [{ afterSeconds: 30, share: 0.4 }]]);
  assert.equal((await api.inject({ method: "GET", url: "/evacuations/eu-west", headers })).json().region, "eu-west");
  assert.equal((await api.inject({ method: "GET", url: "/evacuations/us-east", headers })).statusCode, 404);
});
