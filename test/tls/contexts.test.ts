import assert from "node:assert/strict";
import test from "node:test";
import { RhumbError } from "#base/errors.ts";
import { type CertificatePem, createTlsContexts } from "#tls/contexts.ts";
import { without } from "../system/tools.ts";
import { makeCertificate } from "./certificates.ts";

const skip = without("openssl");
const TICKETS = { secret: new Uint8Array(32), rotateMs: 3_600_000 };
const contextsOf = (certificates: readonly CertificatePem[]) =>
  createTlsContexts({ listener: "web", certificates, tickets: TICKETS });

test("createTlsContexts() chooses by name, by wildcard, else the first", { skip }, () => {
  const [first, wild, exact] = [
    makeCertificate("first.example"),
    makeCertificate("*.app.example", "other.example"),
    makeCertificate("www.app.example"),
  ];
  const { choose } = contextsOf([first, wild, exact]);
  const contexts = { first: choose("first.example"), wild: choose("other.example"), exact: choose("www.app.example") };
  assert.equal(new Set(Object.values(contexts)).size, 3);
  for (const { name, expected } of [
    { name: undefined, expected: "first" },
    { name: "unknown.example", expected: "first" },
    { name: "api.app.example", expected: "wild" },
    { name: "API.App.Example", expected: "wild" },
    { name: "www.app.example", expected: "exact" },
    { name: "a.b.app.example", expected: "first" }, // a wildcard stands for one label (RFC 9525 §6.3)
    { name: "app.example", expected: "first" },
    { name: "", expected: "first" },
    { name: ".", expected: "first" },
    { name: "__proto__", expected: "first" },
    { name: "*.app.example", expected: "wild" },
    { name: "\u0000\u00ff".repeat(500), expected: "first" },
  ] as const) {
    assert.equal(choose(name), contexts[expected], String(name));
  }
});

test("createTlsContexts() says which certificate is bad", { skip }, () => {
  const [one, other] = [makeCertificate("one.example"), makeCertificate("other.example")];
  for (const bad of [
    { ...one, key: other.key },
    { ...one, cert: "no certificate" },
    { ...one, key: "" },
  ]) {
    assert.throws(
      () => contextsOf([other, bad]),
      (error) =>
        error instanceof RhumbError &&
        error.code === "RHUMB_BALANCER_CERTIFICATE" &&
        /one\.example/.test(error.message),
    );
  }
  assert.throws(() => contextsOf([]), RhumbError);
});
