/**
 * What testssl.sh finds at an `https` listener with its defaults: protocols, ciphers, forward secrecy, vulnerabilities, and
 * what a proper certificate looks like from outside.
 */
import assert from "node:assert/strict";
import { appendFileSync, readFileSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { sClient } from "../tls/tls-bed.ts";
import { HOST, startHttpBackend, startSite } from "./http-site.ts";
import { run } from "./running.ts";
import { folderWith, freePort, without } from "./tools.ts";

const skip = without("testssl", "openssl");
const PARTS = ["--protocols", "--standard", "--fs", "--server-defaults", "--vulnerable"];
/** Severities of what is as it should be, or only told. */
const FINE = ["OK", "INFO"];
/** What may be told all the same, by id and severity, and why. */
const KNOWN: Readonly<Record<string, string>> = {
  "sessionresumption_ticket WARN":
    "testssl's second connection came to nothing, as on a busy machine; test/tls takes up sessions",
  "sessionresumption_ID WARN": "likewise",
};

type Finding = { readonly id: string; readonly severity: string; readonly finding: string };

test("testssl.sh finds nothing at an https listener", { skip, timeout: 300_000 }, async (t) => {
  const backend = await startHttpBackend(t, "a");
  const responder = await freePort();
  const site = await startSite(t, { ports: [backend.port] }, async (authority) => {
    const issued = authority.issue({
      names: [HOST],
      notAfter: inDays(90),
      responder: `http://127.0.0.1:${responder}`,
      extensions: ["keyUsage=critical,digitalSignature", "extendedKeyUsage=serverAuth"],
    });
    // It knows what was issued when it began.
    await authority.startResponder(t, responder);
    // OCSP responses are verified, and stapled, where the issuer follows.
    appendFileSync(issued.certFile, authority.ca);
    return issued;
  });
  // The staple comes when the responder has answered, which a listener does not wait for.
  while (!/Cert Status: good/.test(await sClient(site.tlsPort, ["-status", "-servername", HOST])));
  const file = join(folderWith(t, {}), "found.json");
  const { out, err } = await run("testssl", [
    ...PARTS,
    ...["--jsonfile", file, "--add-ca", site.authority.caFile, "--ip", "127.0.0.1", "--nodns", "none"],
    ...["--warnings", "batch", "--color", "0", `https://${HOST}:${site.tlsPort}`],
  ]);
  const found = JSON.parse(readFileSync(file, "utf8")) as Finding[];
  const faults = found.filter(
    ({ id, severity }) => !FINE.includes(severity) && KNOWN[`${id} ${severity}`] === undefined,
  );
  assert.deepEqual(faults, [], err);
  // It was there, and was looked at: a scan that breaks off finds nothing either.
  const by = new Map(found.map(({ id, finding }) => [id, finding]));
  assert.match(by.get("TLS1_3") ?? "", /offered/, out);
  for (const id of ["cipherlist_NULL", "cert_chain_of_trust", "OCSP_stapling", "heartbleed", "RC4"])
    assert.ok(by.has(id), id);
});

/** `openssl ca`'s form of a time. */
const inDays = (days: number): string =>
  `${new Date(Date.now() + days * 86_400_000).toISOString().replace(/[-:T]|\.\d+/g, "")}`;
