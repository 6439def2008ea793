/** OCSP against `openssl ocsp` as the responder: what is believed, what is not, and that hostile answers cost nothing. */
import assert from "node:assert/strict";
import test, { type TestContext } from "node:test";
import { createSeededRng } from "#base/rng.ts";
import { createTlsContexts } from "#tls/contexts.ts";
import { type OcspQuestion, ocspQuestion, readOcspAnswer } from "#tls/ocsp.ts";
import { DRIVERS } from "../net/drivers.ts";
import { freePort, without } from "../system/tools.ts";
import { createAuthority } from "./authority.ts";
import { openTlsBed, sClient } from "./tls-bed.ts";

const skip = without("openssl");
const check = (title: string, run: (t: TestContext) => Promise<void>) => test(title, { skip, timeout: 60_000 }, run);

async function ask({ responder, request }: OcspQuestion): Promise<Uint8Array> {
  const headers = { "content-type": "application/ocsp-request" };
  const response = await fetch(responder, { method: "POST", headers, body: Buffer.from(request) });
  assert.equal(response.status, 200);
  return new Uint8Array(await response.arrayBuffer());
}

check("readOcspAnswer() believes the issuer's word in its time, and clients get it stapled", async (t) => {
  const authority = createAuthority(t);
  const port = await freePort();
  const responder = `http://127.0.0.1:${port}/`;
  const [good, bad] = [authority.issue({ names: ["one.example"], responder }), authority.issue({ responder })];
  authority.revoke(bad);
  await authority.startResponder(t, port);
  const questionOf = (cert: string) => ocspQuestion(cert + authority.ca) as OcspQuestion;
  const question = questionOf(good.cert);
  const response = await ask(question);
  const nowMs = Date.now();
  const answer = readOcspAnswer(question, response, nowMs);
  assert.equal(answer.kind, "good");
  assert.ok(answer.kind === "good" && answer.nextUpdateMs > nowMs && answer.thisUpdateMs <= nowMs);
  assert.deepEqual(readOcspAnswer(questionOf(bad.cert), await ask(questionOf(bad.cert)), nowMs), { kind: "revoked" });

  const saysOf = (one: OcspQuestion, octets: Uint8Array, atMs: number): string => {
    const fault = readOcspAnswer(one, octets, atMs);
    return fault.kind === "fault" ? fault.says : fault.kind;
  };
  assert.match(saysOf(question, response, nowMs + 86_400_000), /not in date/);
  assert.match(saysOf(question, response, nowMs - 86_400_000), /not in date/);
  assert.match(saysOf(questionOf(bad.cert), response, nowMs), /another certificate/);
  const stranger = createAuthority(t, "Test CA");
  assert.match(saysOf({ ...question, issuer: questionOf2(stranger).issuer }, response, nowMs), /signature/);
  assert.match(saysOf(question, Uint8Array.of(0x30, 3, 0x0a, 1, 3), nowMs), /try later/);

  // Whatever octet is changed: no throw, and what is signed is not believed.
  const rng = createSeededRng(7);
  for (let at = 0; at < response.length; at++) {
    const changed = response.slice();
    changed[at] = changed[at]! ^ (1 + Math.floor(rng() * 255));
    const { kind } = readOcspAnswer(question, changed, nowMs);
    assert.ok(kind === "fault" || kind === "good", `octet ${at}`);
    assert.equal(readOcspAnswer(question, response.subarray(0, at), nowMs).kind, "fault");
  }

  const contexts = createTlsContexts({
    listener: "web",
    certificates: [good, authority.issue({ names: ["two.example"] })],
    tickets: { secret: new Uint8Array(32), rotateMs: 3_600_000 },
    staples: new Map([[question.certificate, response]]),
  });
  for (const [name, create] of Object.entries(DRIVERS)) {
    const bed = openTlsBed(t, contexts, [], create);
    for (const { options, expected } of [
      { options: ["-servername", "one.example"], expected: /OCSP Response Status: successful.*Cert Status: good/s },
      { options: ["-noservername"], expected: /OCSP Response Status: successful.*Cert Status: good/s },
      { options: ["-servername", "two.example"], expected: /OCSP response: no response sent/ },
      { options: ["-tls1_2", "-servername", "one.example"], expected: /Cert Status: good/ },
    ])
      assert.match(await sClient(bed.port, ["-status", ...options]), expected, name);
  }
});
const questionOf2 = (authority: ReturnType<typeof createAuthority>) =>
  ocspQuestion(authority.issue({ responder: "http://127.0.0.1:1/" }).cert + authority.ca) as OcspQuestion;

check("ocspQuestion() says why there is none", async (t) => {
  const authority = createAuthority(t);
  assert.equal(ocspQuestion(authority.issue().cert), undefined);
  assert.match(String(ocspQuestion(authority.issue({ responder: "http://127.0.0.1:1/" }).cert)), /issuer/);
  assert.match(String(ocspQuestion(authority.issue({ responder: "ldap://127.0.0.1/" }).cert)), /cannot ask/);
});
