import assert from "node:assert/strict";
import test from "node:test";
import { askDns } from "#cli/dns-client.ts";
import { ROOT_NAME } from "#dns/wire/name.ts";
import { TYPE } from "#dns/wire/types.ts";

for (const isTcp of [false, true]) {
  test(`askDns() says so over ${isTcp ? "TCP" : "UDP"} when the system does not let it out`, async () => {
    // Nobody may connect to the broadcast address, whatever routes there are.
    const ask = { address: "255.255.255.255", port: 53, name: ROOT_NAME, type: TYPE.SOA, isTcp, timeoutMs: 5_000 };
    await assert.rejects(askDns(ask), /EACCES|ENETUNREACH|EINVAL/);
  });
}
