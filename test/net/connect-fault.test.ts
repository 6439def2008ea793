import assert from "node:assert/strict";
import test from "node:test";
import { connectFault } from "#net/connect-fault.ts";

for (const [code, expected] of [
  ["ECONNREFUSED", "refused"],
  ["ECONNRESET", "refused"],
  ["ETIMEDOUT", "timeout"],
  ["EHOSTUNREACH", "unreachable"],
  ["ENETUNREACH", "unreachable"],
  ["EHOSTDOWN", "unreachable"],
  ["ENETDOWN", "unreachable"],
  ["EADDRNOTAVAIL", undefined],
  ["EMFILE", undefined],
  [undefined, undefined],
] as const)
  test(`connectFault() holds ${code} to be ${expected ?? "of our own making"}`, () =>
    assert.equal(connectFault(code), expected));
