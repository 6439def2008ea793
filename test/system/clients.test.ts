/** Clients that are not ours against a node of its own: dig, kdig, dns2, dnsperf, and Unbound in front of it. */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { TCPClient, UDPClient } from "dns2";
import { freePortsOfDemo, run, startRhumb } from "./running.ts";
import { folderWith, freePort, startDaemon, without } from "./tools.ts";

const DEMO_DATABASE = new URL("../../geo-data/demo.mmdb", import.meta.url).pathname;
const FILES = (port: number) => ({
  "rhumb.yaml": `version: 1
node: ns1
dns: { listen: ["127.0.0.1:${port}"], workers: 2, rrl: { enabled: false } }
zones: zones/
geo: { database: ${DEMO_DATABASE}, regions: regions.yaml }
health: { checks: health/ }
`,
  "regions.yaml": `
us: { at: [39, -77], continent: NA, country: US, v4: [192.0.2.1], v6: ["2001:db8:a::1"] }
eu: { at: [53, -6], continent: EU, country: IE, v4: [192.0.2.2], v6: ["2001:db8:b::1"] }
`,
  "zones/services.yaml": `www: { regions: [us, eu], steer: geo, ttl: { min: 300s, max: 600s } }\n`,
  "zones/x.example.zone": `$TTL 600
@ SOA ns hostmaster 1 3600 600 604800 60
@ NS ns
ns A 127.0.0.1
www STEER www
alias CNAME www
many A 192.0.2.100
$GENERATE 101-199 many A 192.0.2.$
`,
  "health/none.yaml": "kind: tcp\nport: 1\n",
});

describe("a node and clients of others", { timeout: 60_000 }, () => {
  const cleanups: (() => unknown)[] = [];
  const context = { after: (cleanup: () => unknown) => void cleanups.push(cleanup) };
  let port: number;
  before(async () => {
    port = await freePortsOfDemo();
    const folder = folderWith(context, FILES(port));
    await startRhumb(context, ["start", "-c", "rhumb.yaml"], folder).printed(/rhumb \S+ serves DNS on/);
  });
  after(async () => {
    for (const cleanup of cleanups.reverse()) await cleanup();
  });
  const at = (): string[] => ["@127.0.0.1", "-p", String(port)];

  for (const tool of ["dig", "kdig"]) {
    test(`${tool} goes over to TCP by itself for what UDP cannot carry`, { skip: without(tool) }, async () => {
      const truncated = await run(tool, [...at(), "many.x.example", "A", "+ignore"]);
      assert.match(truncated.out, /flags:[^;]* tc/i);
      const whole = await run(tool, [...at(), "many.x.example", "A", "+short"]);
      assert.equal(whole.out.match(/^192\.0\.2\.\d+$/gm)?.length, 100, whole.out);
      const steered = await run(tool, [...at(), "alias.x.example", "AAAA", "+short", "+subnet=198.51.100.0/24"]);
      assert.equal(steered.out, "www.x.example.\n2001:db8:b::1\n");
      assert.equal(steered.err, "");
    });
  }

  test("dns2 asks over UDP and TCP", async () => {
    for (const create of [UDPClient, TCPClient]) {
      const resolve = create({ dns: "127.0.0.1", port });
      const { answers, header } = await resolve("alias.x.example", "A");
      assert.equal(header.aa, 1);
      assert.deepEqual(
        answers.map(({ name, ttl }) => ({ name, isLong: ttl > 0 })),
        [
          { name: "alias.x.example", isLong: true },
          { name: "www.x.example", isLong: true },
        ],
      );
      assert.match(String((answers[1] as { address?: string }).address), /^192\.0\.2\.[12]$/);
    }
  });

  for (const mode of ["udp", "tcp"]) {
    test(`dnsperf loses nothing over ${mode}`, { skip: without("dnsperf") }, async () => {
      const folder = folderWith(context, { queries: "www.x.example A\nalias.x.example AAAA\nmissing.x.example A\n" });
      const words = ["-s", "127.0.0.1", "-p", String(port), "-m", mode, "-d", `${folder}/queries`];
      const { out, err, code } = await run("dnsperf", [...words, "-n", "1000", "-c", "4", "-q", "50", "-e"]);
      assert.equal(code, 0, out + err);
      assert.match(out, /Queries sent: +3000\b/);
      assert.match(out, /Queries completed: +3000 \(100\.00%\)/, out);
      assert.match(out, /Queries lost: +0\b/);
      assert.match(out, /NOERROR 2000 \(66\.67%\), NXDOMAIN 1000/);
    });
  }

  test("Unbound follows a CNAME to a steered name", { skip: without("unbound", "dig") }, async () => {
    const resolver = await freePort();
    const config = `server:
  interface: 127.0.0.1@${resolver}
  module-config: "iterator"
  do-daemonize: no
  username: ""
  chroot: ""
  directory: "/"
  pidfile: ""
  use-syslog: no
  logfile: ""
  verbosity: 1
  do-not-query-localhost: no
  access-control: 127.0.0.0/8 allow
stub-zone:
  name: "x.example"
  stub-addr: 127.0.0.1@${port}
remote-control:
  control-enable: no
`;
    const folder = folderWith(context, { "unbound.conf": config });
    await startDaemon(context, ["unbound", "-d", "-c", `${folder}/unbound.conf`], /start of service/);
    const ask = (...words: string[]) => run("dig", ["@127.0.0.1", "-p", String(resolver), ...words]);
    for (const [type, address] of [
      ["A", /192\.0\.2\.[12]$/m],
      ["AAAA", /2001:db8:[ab]::1$/m],
    ] as const) {
      const { out } = await ask("alias.x.example", type);
      assert.match(out, /status: NOERROR/);
      assert.match(out, /alias\.x\.example\.\s+\d+\s+IN\s+CNAME\s+www\.x\.example\./);
      assert.match(out, address);
    }
    assert.match((await ask("missing.x.example", "A")).out, /status: NXDOMAIN/);
  });
});
