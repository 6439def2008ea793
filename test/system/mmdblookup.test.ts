/** Debian's mmdblookup (package mmdb-bin) reads what we write. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import test from "node:test";

const demo = join(import.meta.dirname, "../../geo-data/demo.mmdb");
const isMissing = spawnSync("mmdblookup", ["--version"]).error !== undefined && process.env["CI"] === undefined;
const options = { skip: isMissing ? "needs mmdblookup (Debian package mmdb-bin)" : false };
const look = (ip: string, ...path: string[]) =>
  spawnSync("mmdblookup", ["--file", demo, "--ip", ip, ...path], { encoding: "utf8" });

for (const [ip, country, continent] of [
  ["192.0.2.1", "US", "NA"],
  ["198.51.100.255", "DE", "EU"],
  ["203.0.113.77", "JP", "AS"],
  ["2001:db8:1::1", "US", "NA"],
  ["2001:db8:2:ffff::", "DE", "EU"],
  ["2001:db8:3::", "JP", "AS"],
  ["::ffff:203.0.113.1", "JP", "AS"],
] as const) {
  test(`mmdblookup finds ${ip} in ${country}`, options, () => {
    assert.equal(look(ip, "country", "iso_code").stdout.trim(), `"${country}" <utf8_string>`);
    assert.equal(look(ip, "continent", "code").stdout.trim(), `"${continent}" <utf8_string>`);
    assert.match(look(ip, "location", "latitude").stdout, /<double>/);
  });
}

test("mmdblookup does not find loopback", options, () => {
  assert.match(look("127.0.0.1").stderr, /Could not find an entry/);
});

test("mmdblookup reads the metadata", options, () => {
  const { stdout } = spawnSync("mmdblookup", ["--file", demo, "--ip", "192.0.2.1", "--verbose"], { encoding: "utf8" });
  assert.match(stdout, /Build epoch: +1767225600[\s\S]*Type: +Rhumb-Demo-City/);
});
