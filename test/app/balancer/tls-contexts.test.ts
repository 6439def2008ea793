import assert from "node:assert/strict";
import test from "node:test";
import { createWorkerTls } from "#app/balancer/tls-contexts.ts";
import { NO_CHALLENGES, type TlsMaterial } from "#app/balancer/tls-material.ts";
import { RhumbError } from "#base/errors.ts";
import type { ListenerSpec } from "#state/balancer.ts";
import { createSessionCache } from "#tls/session-cache.ts";
import { without } from "../../system/tools.ts";
import { makeCertificate } from "../../tls/certificates.ts";

test("createWorkerTls() keeps contexts of what has not changed, and gives back the others when a configuration is kept", {
  skip: without("openssl"),
}, () => {
  const [one, two] = [makeCertificate("one.example"), makeCertificate("two.example")];
  const specOf = (name: string): ListenerSpec =>
    ({
      name,
      certificates: [{ certFile: "cert", keyFile: "key" }],
      tls: { minVersion: "TLSv1.2", ciphers: [], tickets: { rotateMs: 3_600_000 }, staples: true },
    }) as unknown as ListenerSpec;
  const materialOf = ({ cert, key }: { cert: string; key: string }): TlsMaterial => ({
    texts: { cert, key },
    ticketSecrets: { "": new Uint8Array(32) },
    staples: new Map(),
    issued: {},
    challenges: NO_CHALLENGES,
  });
  const tls = createWorkerTls({ sessions: createSessionCache(), nowMs: () => 0 });
  const spec = specOf("web");
  const released: string[] = [];
  const watch = (contexts: ReturnType<typeof tls.of>, name: string) => {
    contexts.choose(undefined).ready = { release: () => released.push(name) };
    return contexts;
  };

  const first = watch(tls.of(spec, materialOf(one)), "first");
  assert.equal(tls.of(spec, materialOf(one)), first, "asked for twice");
  tls.keep();
  assert.equal(tls.of(spec, materialOf(one)), first, "the same texts, read again");
  tls.keep();
  assert.deepEqual(released, []);

  watch(tls.of(spec, materialOf(two)), "refused");
  tls.drop();
  assert.deepEqual(released, ["refused"]);
  assert.throws(() => tls.of(spec, materialOf({ cert: one.cert, key: two.key })), RhumbError);
  tls.drop();
  assert.equal(tls.of(spec, materialOf(one)), first);

  assert.notEqual(tls.of(specOf("other"), materialOf(one)), first, "sessions do not cross listeners");
  tls.of(spec, materialOf(two));
  tls.keep();
  assert.deepEqual(released, ["refused", "first"]);
});
