/**
 * `rhumb start` on a configuration of its own: what changes while it runs, what it refuses, and what it remembers.
 */
import assert from "node:assert/strict";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { readFileSync, renameSync, writeFileSync } from "node:fs";
import { connect, createServer } from "node:net";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { chooseUdpEngine } from "#app/udp-engine.ts";
import { parseCidr } from "#base/ip.ts";
import { askDns, type DnsExchange } from "#cli/dns-client.ts";
import { encodeQuery } from "#dns/wire/encode-query.ts";
import { parseName } from "#dns/wire/name.ts";
import { TYPE } from "#dns/wire/types.ts";
import type { RhumbEvent } from "#state/events.ts";
import { rhumb } from "../cli/rhumb.ts";
import { frame, startLoad } from "./dns-load.ts";
import {
  type Api,
  apiClient,
  type EventStream,
  followEvents,
  freePortsOfDemo,
  projectFolder,
  type RhumbProcess,
  startRhumb,
} from "./running.ts";
import { folderWith } from "./tools.ts";

const TOKEN = "a-token-of-this-test-0123456789abcdef";
const SOURCE = readFileSync(join(projectFolder, "geo-data/demo.txt"), "utf8");

const root = (dns: number, api: number): string => `version: 1
node: ns1
dns: { listen: ["127.0.0.1:${dns}"], workers: 2, rrl: { enabled: false } }
control: { listen: "127.0.0.1:${api}", tokens: { ops: { token: "file:token", role: admin } } }
zones: zones/
geo: { database: geo.mmdb, regions: regions.yaml }
health: { checks: health/ }
`;
/** The second region has nothing that listens: it goes down, and stays so. */
const REGIONS = `us: { at: [39, -77], continent: NA, country: US, v4: [127.0.21.1], v6: [], check: alive }
eu: { at: [53, -6], continent: EU, country: IE, v4: [127.0.22.1], v6: [], check: alive }
as: { at: [19, 72], continent: AS, country: IN, v4: [127.0.23.1], v6: [] }
`;
const SERVICES = `www: { regions: [us, eu, as], steer: geo, ttl: { min: 5s, max: 30s } }
`;
const zone = (version: number): string => `$TTL 60
@ SOA ns hostmaster ${version} 3600 600 604800 60
@ NS ns
ns A 127.0.0.1
version TXT "v=${version}"
www STEER www
`;

describe("a running node", { timeout: 120_000 }, () => {
  const cleanups: (() => unknown)[] = [];
  const context = { after: (cleanup: () => unknown) => void cleanups.push(cleanup) };
  let folder: string;
  let dnsPort: number;
  let apiPort: number;
  let node: RhumbProcess;
  let api: Api;
  let events: EventStream;
  let version = 1;

  /** As deployment tools do: a new file, renamed over the old one. */
  const replace = (name: string, text: string | Uint8Array): void => {
    writeFileSync(join(folder, `${name}.new`), text);
    renameSync(join(folder, `${name}.new`), join(folder, name));
  };
  /** The next event of this kind from now on. */
  const next = (what: string, fits: (event: RhumbEvent) => boolean): Promise<RhumbEvent> => {
    const from = events.seen.length;
    return events.until(what, (event) => events.seen.indexOf(event) >= from && fits(event));
  };
  const applied = (source: string) =>
    next(`applied by ${source}`, (event) => event.kind === "config.applied" && event.data?.["source"] === source);
  const refused = () => next("refused", (event) => event.kind === "config.refused" && event.severity === "alarm");
  const resolved = () =>
    next("good again", (event) => event.kind === "config.refused" && event.severity === "resolved");
  const ask = async (name: string, type: number, from?: string, port = dnsPort): Promise<string> => {
    const wireName = parseName(name) as Uint8Array;
    const subnet = from === undefined ? undefined : parseCidr(from);
    const asked = { address: "127.0.0.1", port, name: wireName, type, subnet, isTcp: false, timeoutMs: 5_000 };
    const { response }: DnsExchange = await askDns(asked);
    assert.equal(response.rcode, "NOERROR", name);
    return response.answer.map(({ rdata }) => rdata).join(" ");
  };
  const servedVersion = () => ask("version.x.example", TYPE.TXT);
  const www = (from: string) => ask("www.x.example", TYPE.A, from);

  const start = async (): Promise<void> => {
    node = startRhumb(context, ["start", "-c", "rhumb.yaml", "--log-format", "json"], folder);
    await node.printed(/Control API on/);
    api = apiClient(`http://127.0.0.1:${apiPort}`, TOKEN);
    events = await followEvents(context, `http://127.0.0.1:${apiPort}`, TOKEN);
  };
  const buildDatabase = async (source: string, output: string): Promise<void> => {
    writeFileSync(join(folder, "source.txt"), source);
    const { code, err } = await rhumb(["geo", "build", join(folder, "source.txt"), "-o", join(folder, output)]);
    assert.equal(code, 0, err);
  };

  before(async () => {
    dnsPort = await freePortsOfDemo();
    apiPort = dnsPort + 1;
    const alive = createServer((socket) => socket.destroy()).listen({ host: "127.0.21.1", port: dnsPort + 2 });
    await once(alive, "listening");
    context.after(() => alive.close());
    folder = folderWith(context, {
      "rhumb.yaml": root(dnsPort, apiPort),
      token: TOKEN,
      "regions.yaml": REGIONS,
      "zones/services.yaml": SERVICES,
      "zones/x.example.zone": zone(version),
      "health/alive.yaml": `kind: tcp\nport: ${dnsPort + 2}\ninterval: 200ms\ntimeout: 200ms\nthresholds: { down: 2, up: 2 }\ndownSpan: 0s\n`,
    });
    await buildDatabase(SOURCE, "geo.mmdb");
    await start();
  });
  after(async () => {
    for (const cleanup of cleanups.reverse()) await cleanup();
  });

  test("says which UDP engine answers, and why, in its log, its status and its metrics", async () => {
    const { engine } = (await api("GET", "/status")).json<{ engine: { name: string; why: string } }>();
    const chosen = chooseUdpEngine("auto");
    assert.deepEqual(engine, { ...chosen, xdp: null });
    const logged = `${node.out()}${node.err()}`;
    assert.ok(logged.includes(JSON.stringify(chosen)), logged);
    const { text } = await api("GET", "/metrics");
    assert.ok(text.includes(`rhumb_dns_engine_info{engine="${engine.name}",why="${engine.why}"} 1`), text);
  });

  test("loses no query over 20 reloads by file, signal and API, and serves what is new at once", async () => {
    const load = await startLoad(dnsPort, "version.x.example");
    for (let reload = 0; reload < 20; reload++) {
      const source = (["file", "sighup", "api"] as const)[reload % 3]!;
      const told = applied(source);
      replace("zones/x.example.zone", zone(++version));
      if (source === "sighup") node.signal("SIGHUP");
      if (source === "api") {
        const answer = await api("POST", "/config/reload");
        assert.equal(answer.status, 200, answer.text);
        assert.equal(await servedVersion(), `"v=${version}"`, "the API answers when all workers serve it");
      }
      await told;
      assert.equal(await servedVersion(), `"v=${version}"`, `reload ${reload} by ${source}`);
    }
    const { sent, answered, bad } = await load.stop();
    assert.equal(answered, sent, `${sent - answered} of ${sent} queries were lost`);
    assert.equal(bad, 0);
    assert.ok(sent > 1_000, `only ${sent} queries were sent: that proves little`);
  });

  test("refuses a bad configuration whole, and says all that is wrong, everywhere", async () => {
    const told = refused();
    replace("zones/x.example.zone", `${zone(version + 1)}bad A 300.1.2.3\n`);
    replace("zones/services.yaml", `${SERVICES.trimEnd().replace("steer: geo", "steer: nearby")}\n`);
    replace("regions.yaml", REGIONS.replace("at: [39, -77]", "at: [139, -77]").replace("v6: []", "v5: []"));
    const event = await told;
    const problems = String(event.data?.["problems"]);
    const check = await rhumb(["check", "-c", "rhumb.yaml"], { cwd: folder });
    assert.equal(check.code, 1);
    for (const where of [
      /zones\/x\.example\.zone:7:\d+: The address/,
      /zones\/services\.yaml:1:\d+ www\.steer: /,
      /regions\.yaml:1:\d+ us\.at.*139/,
      /regions\.yaml:1:\d+ us\.v5: /,
    ]) {
      assert.match(problems, where, "the event");
      assert.match(check.out + check.err, where, "rhumb check");
      await node.printed(where);
    }
    assert.doesNotMatch(problems, /is gone/, "the file of the zone is there");
    assert.equal(await servedVersion(), `"v=${version}"`);
    const reload = await api("POST", "/config/reload");
    assert.ok(reload.status >= 400, reload.text);
    assert.match(reload.text, /x\.example\.zone/);
    const status = (await api("GET", "/status")).json<{ config: { lastReload: { isOk: boolean } } }>();
    assert.equal(status.config.lastReload.isOk, false);

    const good = resolved();
    replace("regions.yaml", REGIONS);
    replace("zones/services.yaml", SERVICES);
    replace("zones/x.example.zone", zone(++version));
    await good;
    assert.equal(await servedVersion(), `"v=${version}"`);
  });

  test("refuses a database that is broken, cut off or emptier, and takes a good one without a restart", async () => {
    const before = await www("203.0.113.0/24");
    assert.equal(before, "127.0.23.1");
    const geoRefused = () => next("geo refused", (event) => event.kind === "geo.refused" && event.severity === "alarm");
    const whole = readFileSync(join(folder, "geo.mmdb"));
    // A whole file that knows but three networks.
    const lines = SOURCE.split("\n");
    await buildDatabase(lines.filter((line) => !/^(198\.1[89]|2001)/.test(line)).join("\n"), "emptier.mmdb");
    const emptier = readFileSync(join(folder, "emptier.mmdb"));
    for (const [what, octets] of [
      ["cut off", whole.subarray(0, whole.length >>> 1)],
      ["noise", Buffer.concat([Buffer.alloc(2_000, 0xa5), whole.subarray(2_000)])],
      ["emptier", emptier],
    ] as const) {
      const told = geoRefused();
      replace("geo.mmdb", octets);
      const { says } = await told;
      assert.match(says, /stays in use/, what);
      await node.printed(
        new RegExp(
          JSON.stringify(says)
            .slice(1, -1)
            .replace(/[.*+?^${}()|[\]\\]/g, "\\$&"),
        ),
      );
      assert.equal(await www("203.0.113.0/24"), before, what);
    }
    const taken = next("geo loaded", (event) => event.kind === "geo.loaded");
    const moved = SOURCE.replace(/^203\.0\.113\.0\/24 .*$/m, "203.0.113.0/24   NA  US   40.71   -74.01   New York");
    assert.notEqual(moved, SOURCE);
    await buildDatabase(moved, "moved.mmdb");
    renameSync(join(folder, "moved.mmdb"), join(folder, "geo.mmdb"));
    await taken;
    assert.ok(events.seen.some(({ kind, severity }) => kind === "geo.refused" && severity === "resolved"));
    assert.equal(await www("203.0.113.0/24"), "127.0.21.1");
  });

  test("takes an overlay through the API, first as a dry run", async () => {
    const overlay = { services: { www: { regions: ["us"], steer: "failover", ttl: { min: "5s", max: "10s" } } } };
    const generation = async () => (await api("GET", "/config")).json<{ generation: string }>().generation;
    const before = await generation();
    const dry = await api("PUT", "/config?dryRun=true", overlay);
    assert.equal(dry.status, 200, dry.text);
    assert.equal(dry.json<{ isApplied: boolean }>().isApplied, false);
    assert.deepEqual(await generation(), before, "a dry run changes nothing");
    const bad = await api("PUT", "/config", { services: { www: { regions: ["nowhere"] } } });
    assert.ok(bad.status >= 400);
    assert.match(bad.text, /nowhere/);
    const done = await api("PUT", "/config", overlay);
    assert.equal(done.json<{ isApplied: boolean }>().isApplied, true, done.text);
    assert.equal(await www("198.51.100.0/24"), "127.0.21.1");
    assert.match((await api("GET", "/config/export")).text, /max: "?10s"?/);
  });

  test("follows its listen address, and refuses to give up a role while it runs", async () => {
    const other = await freePortsOfDemo();
    const told = applied("file");
    replace("rhumb.yaml", root(other, apiPort));
    await told;
    assert.equal(await ask("version.x.example", TYPE.TXT, undefined, other), `"v=${version}"`);
    await assert.rejects(ask("version.x.example", TYPE.TXT), /refused/);
    const back = applied("file");
    replace("rhumb.yaml", root(dnsPort, apiPort));
    await back;
    assert.equal(await servedVersion(), `"v=${version}"`);

    const alarm = refused();
    replace("rhumb.yaml", root(dnsPort, apiPort).replace(/^control:.*\n/m, ""));
    assert.match(String((await alarm).data?.["problems"]), /role "control" while running/);
    assert.equal((await api("GET", "/readyz")).status, 200);
    const good = resolved();
    replace("rhumb.yaml", root(dnsPort, apiPort));
    await good;
  });

  test("answers what has come in when it is told to end, and exits 0", async () => {
    const down = await api("POST", "/overrides", { target: "region/as", verb: "down", reason: "test", forMs: 600_000 });
    assert.equal(down.status, 201, down.text);
    await events.until("eu is down", ({ kind, subject }) => kind === "health.transition" && subject === "region/eu");

    const count = 200;
    const name = parseName("version.x.example") as Uint8Array;
    const query = (id: number): Uint8Array => encodeQuery(name, TYPE.TXT, { id, edns: {} });
    const tcp = connect({ host: "127.0.0.1", port: dnsPort });
    await once(tcp, "connect");
    let received = 0;
    tcp.on("data", (chunk: Buffer) => {
      received += chunk.length;
    });
    const udp = createSocket("udp4");
    udp.connect(dnsPort, "127.0.0.1");
    await once(udp, "connect");
    let datagrams = 0;
    udp.on("message", () => {
      datagrams++;
    });
    const firstData = once(tcp, "data");
    const firstDatagram = once(udp, "message");
    tcp.write(Buffer.concat(Array.from({ length: count }, (_, id) => frame(query(id)))));
    for (let id = 0; id < count; id++) udp.send(query(id));
    const [[chunk]] = (await Promise.all([firstData, firstDatagram])) as unknown as [[Buffer]];
    const closed = once(tcp, "close");
    node.signal("SIGTERM");
    const octetsEach = 2 + chunk.readUInt16BE(0);
    assert.equal(await node.ended, 0, node.err());
    await closed;
    udp.close();
    assert.equal(received, count * octetsEach, "every query that came over TCP is answered before it closes");
    assert.equal(datagrams, count, "every datagram that came is answered");
    assert.doesNotMatch(node.err().slice(node.err().indexOf('"SIGTERM"')), /"level":[456]0/, "it ends cleanly");
  });

  test("remembers overlay, override and health over a restart", async () => {
    await start();
    const overrides = (await api("GET", "/overrides")).json<{ target: string; verb: string }[]>();
    assert.deepEqual(
      overrides.map(({ target, verb }) => `${verb} ${target}`),
      ["down region/as"],
    );
    assert.ok(
      events.seen.some(
        ({ kind, subject, says }) =>
          kind === "health.transition" && subject === "region/eu" && /before the restart/.test(says),
      ),
    );
    assert.equal(await www("198.51.100.0/24"), "127.0.21.1", "the overlay has one region");
    const removed = await api("PUT", "/config", {});
    assert.equal(removed.json<{ isApplied: boolean }>().isApplied, true, removed.text);
    // Europe's region was down before the restart, Asia's was taken out: both still are.
    assert.equal(await www("198.51.100.0/24"), "127.0.21.1");
    assert.equal(await www("198.18.128.0/24"), "127.0.21.1");
    node.signal("SIGTERM");
    assert.equal(await node.ended, 0);
  });
});
