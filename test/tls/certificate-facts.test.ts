/** What people are told of a certificate. */
import assert from "node:assert/strict";
import test from "node:test";
import { certificateFacts } from "#tls/expiry.ts";
import { createAuthority } from "./authority.ts";

test("names, issuer, end, hash and responder are those of the first certificate of a chain", (t) => {
  const authority = createAuthority(t, "Issuing Authority");
  const { cert } = authority.issue({
    names: ["www.example.net", "*.example.net"],
    addresses: ["127.0.0.1"],
    notAfter: "20400102030405Z",
    responder: "http://127.0.0.1:1",
  });
  const facts = certificateFacts(`${cert}\n${authority.ca}`);
  assert.deepEqual(facts.names, ["www.example.net", "*.example.net", "127.0.0.1"]);
  assert.equal(facts.issuer, "Issuing Authority");
  assert.equal(new Date(facts.notAfterMs).toISOString(), "2040-01-02T03:04:05.000Z");
  assert.match(facts.sha256, /^[0-9a-f]{64}$/);
  assert.equal(facts.hasResponder, true);
});

test("a certificate without alternative names is called by its common name, and need not name a responder", (t) => {
  const { cert } = createAuthority(t).issue({ subject: "/O=Some Company/CN=old.example.net" });
  assert.partialDeepStrictEqual(certificateFacts(cert), { names: ["old.example.net"], hasResponder: false });
});

test("a text that is no certificate has no facts", () => {
  assert.throws(() => certificateFacts("-----BEGIN CERTIFICATE-----\n"));
});
