/** OCSP answers are fetched, renewed at half of their life, and missed without harm. */
import assert from "node:assert/strict";
import test from "node:test";
import { createStapler } from "#app/balancer/stapler.ts";
import { createManualClock } from "#base/clock.ts";
import { EXPIRY_STEPS_DAYS, expiryStep } from "#tls/expiry.ts";
import { until } from "../../net/bed.ts";
import { freePort, without } from "../../system/tools.ts";
import { createAuthority } from "../../tls/authority.ts";

test("createStapler() warns of a responder that is away, and staples when it is back", {
  skip: without("openssl"),
  timeout: 60_000,
}, async (t) => {
  const authority = createAuthority(t);
  const port = await freePort();
  const leaf = authority.issue({ names: ["one.example"], responder: `http://127.0.0.1:${port}/` });
  const pem = { name: "one.pem", cert: leaf.cert + authority.ca, key: leaf.key };
  const clock = createManualClock(Date.now());
  const told: string[] = [];
  let changes = 0;
  const stapler = createStapler({
    clock,
    rng: () => 0,
    emit: ({ severity, says }) => told.push(`${severity} ${says}`),
    onChange: () => changes++,
  });
  t.after(() => stapler.close());
  stapler.follow([pem]);
  stapler.follow([pem]); // the same, told once
  await until(() => changes === 1);
  clock.advance(60_000);
  await until(() => changes === 2);
  assert.equal(told.length, 1);
  assert.match(told[0]!, /^warning No OCSP answer for one\.pem from http:.*ECONNREFUSED/);
  assert.equal(stapler.staples().size, 0);

  await authority.startResponder(t, port);
  clock.advance(120_000);
  await until(() => changes === 3);
  assert.deepEqual(told.slice(1), ["resolved The responder of one.pem answers again"]);
  const [first] = [...stapler.staples().values()];
  assert.ok(first);

  // The responder of the test gives answers of ten minutes.
  clock.advance(240_000);
  assert.equal(changes, 3);
  clock.advance(120_000);
  await until(() => changes === 4);
  clock.advance(700_000);
  assert.equal(stapler.staples().size, 0, "out of date by our clock");
  stapler.follow([]);
  assert.equal(stapler.staples().size, 0);
});

test("expiryStep() counts the steps that are passed", () => {
  const day = 86_400_000;
  assert.deepEqual(
    [22, 21, 8, 7, 2, 1, 0.5, 0, -1].map((days) => expiryStep(days * day, 0)),
    [0, 1, 1, 2, 2, 3, 3, 4, 4],
  );
  assert.equal(EXPIRY_STEPS_DAYS.length, 4);
});
