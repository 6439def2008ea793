/** Each request that a guard refuses is told of once, by the kind of guard; rate limits are told of apart. */
import assert from "node:assert/strict";
import test from "node:test";
import { hashPassword } from "#base/password.ts";
import { routerOf, statusOf } from "./bed.ts";

const secrets = { "file:users": `kim:${await hashPassword("open")}\n` };
for (const { says, rule, good, bad, by, status } of [
  {
    says: "an access list",
    rule: { access: [{ network: "10.0.0.0/8", action: "deny" }] },
    good: { source: "192.0.2.1" },
    bad: { source: "10.1.2.3" },
    by: "access",
    status: 403,
  },
  { says: "a WAF", rule: { waf: { methods: ["GET"] } }, good: {}, bad: { method: "PUT" }, by: "waf", status: 403 },
  {
    says: "a password",
    rule: { basicAuth: { realm: "staff", users: "file:users" } },
    good: { fields: { authorization: `Basic ${btoa("kim:open")}` } },
    bad: { fields: { authorization: `Basic ${btoa("kim:shut")}` } },
    by: "auth",
    status: 401,
  },
]) {
  test(`what ${says} refuses is counted, and what it lets pass is not`, async () => {
    const told: string[] = [];
    const router = routerOf([{ ...rule, pool: "web" }], { secrets, env: { denied: (by) => void told.push(by) } });
    assert.equal(await statusOf(router, good), 200);
    assert.deepEqual(told, []);
    assert.equal(await statusOf(router, bad), status);
    assert.deepEqual(told, [by]);
  });
}

test("a WAF that is not enforced denies nothing", async () => {
  const told: string[] = [];
  const rule = { waf: { enforced: false, methods: ["GET"] }, pool: "web" };
  const router = routerOf([rule], { env: { denied: (by) => void told.push(by) } });
  assert.equal(await statusOf(router, { method: "PUT" }), 200);
  assert.deepEqual(told, []);
});
