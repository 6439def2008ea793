/**
 * The demo world as its first user meets it: `rhumb demo` as a process of its own, asked by dig, kdig and HTTP, broken
 * and healed by `rhumb`. One world serves all tests of the first group, in order: while its region is out of service
 * and comes back, the tests that need none of that run.
 */
import assert from "node:assert/strict";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { connect } from "node:http2";
import { createServer } from "node:net";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { after, before, describe, test } from "node:test";
import type { RhumbEvent } from "#state/events.ts";
import { rhumb } from "../cli/rhumb.ts";
import {
  childrenOf,
  type DemoWorld,
  type EventStream,
  followEvents,
  freePortsOfDemo,
  run,
  startDemoWorld,
  startRhumb,
} from "./running.ts";
import { folderWith, without } from "./tools.ts";

const EU = "+subnet=198.51.100.0/24";
const JP = "+subnet=203.0.113.0/24";
const US = "+subnet=192.0.2.0/24";
const ADDRESS = { "us-east": "127.0.11.1", "eu-west": "127.0.12.1", "ap-south": "127.0.13.1" };
/** Of three regions: a balancer and two backends each. */
const PROCESSES = 9;
const isAbout =
  (kind: string, subject: string, severity: string, says: RegExp) =>
  (event: RhumbEvent): boolean =>
    event.kind === kind && event.subject === subject && event.severity === severity && says.test(event.says);

describe("the demo world", { skip: without("dig", "kdig"), timeout: 120_000 }, () => {
  let world: DemoWorld;
  let events: EventStream;
  const cleanups: (() => unknown)[] = [];
  const context = { after: (cleanup: () => unknown) => void cleanups.push(cleanup) };
  before(async () => {
    world = await startDemoWorld(context);
    events = await followEvents(context, world.apiUrl, world.token);
  });
  after(async () => {
    for (const cleanup of cleanups.reverse()) await cleanup();
  });

  const dig = async (...words: string[]): Promise<string> => {
    const at = ["@127.0.0.1", "-p", String(world.dnsPort), "+tries=1", "+time=5"];
    const { code, out, err } = await run("dig", [...at, ...words]);
    assert.equal(code, 0, out + err);
    return out;
  };
  const short = async (...words: string[]): Promise<string[]> =>
    (await dig(...words, "+short")).trim().split("\n").filter(Boolean);
  /** A command of the world's operator: finds the token by the working folder, as people's commands do. */
  const command = async (...words: string[]): Promise<string> => {
    const { code, out, err } = await rhumb(words, { cwd: world.folder, env: { RHUMB_API: world.apiUrl } });
    assert.equal(code, 0, `rhumb ${words.join(" ")}: ${out}${err}`);
    return out;
  };

  test("prints what to copy, and one line per region", () => {
    const out = world.process.out();
    assert.match(out, new RegExp(`dig @127.0.0.1 -p ${world.dnsPort} www.demo.example A \\+subnet=198.51.100.0/24`));
    assert.match(out, /npx rhumb demo kill eu-west --api http/);
    for (const region of Object.keys(ADDRESS)) assert.match(out, new RegExp(`^${region} +up`, "m"));
  });

  test("answers each client from its own side of the world, over UDP and TCP, IPv4 and IPv6", async () => {
    assert.deepEqual(await short("www.demo.example", "A", EU), [ADDRESS["eu-west"]]);
    assert.deepEqual(await short("www.demo.example", "A", JP, "+tcp"), [ADDRESS["ap-south"]]);
    assert.deepEqual(await short("www.demo.example", "A", US), [ADDRESS["us-east"]]);
    assert.deepEqual(await short("demo.example", "A", EU), [ADDRESS["eu-west"]], "the apex is an ALIAS");
    assert.deepEqual(await short("@::1", "www.demo.example", "A", JP), [ADDRESS["ap-south"]]);
  });

  test("an override moves the next answer, and clearing it moves it back", async () => {
    const said = await command("override", "down", "eu-west", "--reason", "test", "--for", "10m");
    const [moved] = await short("www.demo.example", "A", EU);
    assert.equal(moved, ADDRESS["us-east"], "the command has returned, so the answer has moved");
    const id = /override clear (\S+)/.exec(said)?.[1];
    assert.ok(id, said);
    assert.match(await command("override", "list"), /region\/eu-west +down +(10m|9m)/);
    await command("override", "clear", id);
    assert.deepEqual(await short("www.demo.example", "A", EU), [ADDRESS["eu-west"]]);
  });

  test("an HTTP client that goes where the answer says finds that region", async () => {
    for (const [subnet, region] of [
      [EU, "eu-west"],
      [JP, "ap-south"],
    ] as const) {
      const [address = "none"] = await short("www.demo.example", "A", subnet);
      const response = await fetch(`http://${address}:${world.httpPort}/`, { headers: { connection: "close" } });
      assert.match(await response.text(), new RegExp(`^${region} `));
    }
    const from = ["--from", "203.0.113.0/24"];
    assert.match(await command("curl", "http://www.demo.example/", ...from), /^ap-south /);
  });

  test("regions serve HTTPS by the demo's own authority, with HTTP/2 for who can", async () => {
    const authority = readFileSync(join(world.folder, "run/tls/ca.pem"));
    const [address = "none"] = await short("www.demo.example", "A", EU);
    const session = connect(`https://${address}:${world.httpPort + 4}`, {
      ca: authority,
      servername: "www.demo.example",
    });
    try {
      const stream = session.request({ ":path": "/", ":authority": "www.demo.example" });
      const [headers] = (await once(stream, "response")) as [Record<string, string>];
      assert.equal(headers[":status"], 200);
      assert.equal(headers["x-region"], "eu-west");
      assert.match(await text(stream), /^eu-west /);
      assert.equal(session.alpnProtocol, "h2");
    } finally {
      session.close();
    }
  });

  test("behind a region stand a balancer and two backends; one of them may die", async () => {
    const api = ["--api", `http://${ADDRESS["ap-south"]}:${world.httpPort + 1}`];
    assert.match(await command("backend", "list", ...api), /web +\S+ +127\.0\.13\.11:\d+ +healthy/);
    assert.match(await command("demo", "kill", "ap-south/1"), /Killed process \d+/);
    const ask = async (): Promise<string> =>
      (await fetch(`http://${ADDRESS["ap-south"]}:${world.httpPort}/`, { headers: { connection: "close" } })).text();
    // No request is lost meanwhile: a refused connection goes on to the other one.
    for (let request = 0; request < 10; request++) assert.match(await ask(), /served by backend 2/);
    assert.match(await command("demo", "heal", "ap-south/1"), /Started: ap-south\/1 is process \d+/);
    assert.match(await command("pool", "list", ...api), /web +proxy +p2c/);
  });

  test("each policy steers as its service says", async () => {
    assert.deepEqual(await short("app.demo.example", "A", JP), [ADDRESS["us-east"]], "failover: the first, wherever");
    // The demo's vantage stands in Frankfurt: for clients near it, the probes' own round trips count, and on loopback
    // these are the same everywhere. Clients far away from it are judged by distance.
    assert.deepEqual(await short("api.demo.example", "A", US), [ADDRESS["us-east"]], "latency");
    assert.deepEqual(await short("api.demo.example", "A", JP), [ADDRESS["ap-south"]], "latency");
    assert.deepEqual((await short("all.demo.example", "A", EU)).sort(), Object.values(ADDRESS).sort(), "multivalue");

    // 1,000 client networks in one batch; the shares are 90 and 10 (a hash per network and slot of 30 s).
    const names = Array.from(
      { length: 1_000 },
      (_, index) => `canary.demo.example A +subnet=198.18.${index >>> 2}.${(index & 3) * 64}/24`,
    );
    // dig cuts its prefixes itself; four of one /24 are the same client and get the same answer.
    const batch = folderWith(context, { batch: `${names.join("\n")}\n` });
    const answers = (await dig("+tcp", "+keepopen", "+short", "-f", `${batch}/batch`)).trim().split("\n");
    assert.equal(answers.length, 1_000);
    for (let index = 0; index < answers.length; index += 4) {
      assert.equal(new Set(answers.slice(index, index + 4)).size, 1, names[index] ?? "");
    }
    const toEurope = answers.filter((address) => address === ADDRESS["eu-west"]).length / answers.length;
    assert.ok(answers.every((address) => address !== ADDRESS["ap-south"]));
    // 250 networks: three standard deviations of a tenth are 0.057.
    assert.ok(toEurope > 0.04 && toEurope < 0.16, `${toEurope} of the clients go to eu-west, not about a tenth`);
  });

  test("killing a region moves answers when its probes fail, not before", async () => {
    assert.match(await command("demo", "kill", "eu-west"), /Killed processes \d+, \d+, \d+/);
    await assert.rejects(fetch(`http://${ADDRESS["eu-west"]}:${world.httpPort}/`));
    await events.until("eu-west is down", isAbout("health.transition", "region/eu-west", "alarm", /down/));
    assert.deepEqual(await short("www.demo.example", "A", EU), [ADDRESS["us-east"]]);
    const rest = [ADDRESS["us-east"], ADDRESS["ap-south"]];
    assert.deepEqual((await short("all.demo.example", "A", EU)).sort(), rest);
    const explained = await command("explain", "www.demo.example", "A", "--from", "198.51.100.0/24");
    assert.match(explained, /healthy +us-east ap-south +.*eu-west/);
    assert.match(await command("status"), /eu-west +down +down/);
    assert.match(world.process.out(), /eu-west.* is down/, "without a terminal, news are printed");
  });

  test("failover goes on to the next region in order", async () => {
    const out = ["override", "down", "us-east", "--reason", "test", "--for", "10m"];
    const refused = await rhumb(out, { cwd: world.folder, env: { RHUMB_API: world.apiUrl } });
    assert.equal(refused.code, 1, "canary has us-east and eu-west: its last one is not taken out just like that");
    assert.match(refused.err, /"canary"[\s\S]*--force/);
    await command(...out, "--force");
    assert.deepEqual(await short("app.demo.example", "A", US), [ADDRESS["ap-south"]], "us-east and eu-west are out");
    const list = JSON.parse(await command("override", "list", "--json")) as { id: string }[];
    await command("override", "clear", list[0]?.id ?? "none");
    assert.deepEqual(await short("app.demo.example", "A", EU), [ADDRESS["us-east"]]);
  });

  test("a healed region is held back before it returns", async () => {
    assert.match(
      await command("demo", "heal", "eu-west"),
      /Started: eu-west is process \d+, eu-west\/1 is process \d+, eu-west\/2 is process \d+/,
    );
    assert.deepEqual(
      await short("www.demo.example", "A", EU),
      [ADDRESS["us-east"]],
      "it has not passed its probes yet",
    );
  });

  // What follows runs while eu-west passes its probes and waits out its hold; none of it asks for a European client.
  test("static names, wildcards, delegations and negative answers", async () => {
    assert.deepEqual(await short("static.demo.example", "AAAA"), ["2001:db8::80"]);
    assert.deepEqual(await short("a.wild.demo.example", "TXT"), ['"any name below wild"']);
    assert.deepEqual(await short("_sip._tcp.demo.example", "SRV"), ["10 5 5060 static.demo.example."]);
    assert.deepEqual(await short("docs.demo.example", "A", JP), ["www.demo.example.", ADDRESS["ap-south"]]);
    const delegation = await dig("x.sub.demo.example", "A", "+norecurse");
    assert.match(delegation, /status: NOERROR/);
    assert.doesNotMatch(delegation, /flags:[^;]* aa/);
    assert.match(delegation, /^sub\.demo\.example\.\s+300\s+IN\s+NS\s+ns\.sub/m);
    assert.match(delegation, /^ns\.sub\.demo\.example\.\s+300\s+IN\s+A\s+192\.0\.2\.53/m);
    const nodata = await dig("www.demo.example", "AAAA");
    assert.match(nodata, /status: NOERROR/);
    assert.match(nodata, /ANSWER: 0, AUTHORITY: 1/);
    assert.match(nodata, /^demo\.example\.\s+60\s+IN\s+SOA/m);
    const missing = await dig("nope.demo.example", "A");
    assert.match(missing, /status: NXDOMAIN/);
    assert.match(missing, /^demo\.example\.\s+60\s+IN\s+SOA/m);
    assert.match(await dig("www.example.org", "A"), /status: REFUSED/);
  });

  test("EDNS: cookies, client subnet with scope, name server id, sizes", async () => {
    assert.match(await dig("www.demo.example", "+cookie"), /COOKIE: [0-9a-f]{48} \(good\)/);
    assert.match(await dig("www.demo.example", JP), /CLIENT-SUBNET: 203\.0\.113\.0\/24\/24/);
    assert.match(await dig("static.demo.example", JP), /CLIENT-SUBNET: 203\.0\.113\.0\/24\/0/);
    assert.match(await dig("www.demo.example", "+bufsize=512"), /udp: 1232/);
    assert.doesNotMatch(await dig("www.demo.example", "+noedns"), /OPT PSEUDOSECTION/);
    assert.match(await dig("www.demo.example", "+edns=1", "+noednsnegotiation"), /status: BADVERS/);
    const at = ["@127.0.0.1", "-p", String(world.dnsPort)];
    const knot = await run("kdig", [...at, "www.demo.example", "A", "+nsid", "+cookie", "+subnet=203.0.113.0/24"]);
    assert.match(knot.out, /NSID: 6E7331 "ns1"/);
    assert.match(knot.out, /COOKIE: [0-9A-F]{48}/);
    assert.match(knot.out, /CLIENT-SUBNET: 203\.0\.113\.0\/24\/24/);
    assert.doesNotMatch(knot.err + knot.out, /WARNING|;; ERROR/);
  });

  test("commands tell people and machines the same", async () => {
    const status = JSON.parse(await command("status", "--json")) as { node: string; regions: { id: string }[] };
    assert.equal(status.node, "ns1");
    assert.deepEqual(
      status.regions.map(({ id }) => id),
      Object.keys(ADDRESS),
    );
    const asked = ["explain", "www.demo.example", "A", "--from", "203.0.113.0/24"];
    const explained = JSON.parse(await command(...asked, "--json")) as { answer: string[] };
    assert.match(explained.answer.join("\n"), /127\.0\.13\.1/);
    assert.match(await command(...asked), /^www\.demo\.example\. \d+ IN A 127\.0\.13\.1$/m);
    const digged = ["dig", "www.demo.example", "--from", "203.0.113.0/24", "--port", String(world.dnsPort)];
    assert.match(await command(...digged), /127\.0\.13\.1/);
    assert.match(await command(...digged, "--json"), /"127\.0\.13\.1"/);
    assert.match(await command("config", "export"), /^version: 1$/m);
    assert.doesNotMatch(await command("config", "export"), new RegExp(world.token));
    const list = JSON.parse(await command("events", "--json")) as RhumbEvent[];
    assert.ok(list.some(({ kind }) => kind === "config.applied"));
    assert.match(await command("events"), /region\/eu-west/);
    const wrong = await rhumb(["status", "--api", world.apiUrl, "--token", "not-the-token-of-this-world"]);
    assert.equal(wrong.code, 1);
    assert.equal((await fetch(`${world.apiUrl}/readyz`)).status, 200);
  });

  test("it returns by its failback policy: passes, hold, then all its clients", async () => {
    const isHeld = isAbout("health.failback", "region/eu-west", "info", /held|hold/);
    const hold = await events.until("eu-west is held back", isHeld);
    const isBack = isAbout("health.transition", "region/eu-west", "resolved", /back in service/);
    const back = await events.until("eu-west is back", (event) => isBack(event) && event.atMs > hold.atMs);
    assert.ok(back.atMs - hold.atMs >= 5_000, "the demo holds a region for 5 s");
    assert.deepEqual(await short("www.demo.example", "A", EU), [ADDRESS["eu-west"]]);
  });

  test("SIGTERM ends it with 0, and nothing of it is left", async () => {
    assert.equal(childrenOf(world.process.pid).length, PROCESSES);
    world.process.signal("SIGTERM");
    // They hold its standard error: that all of it is closed says that they have ended.
    assert.equal(await world.process.ended, 0);
    assert.equal(world.process.err(), "");
    await assert.rejects(fetch(`http://${ADDRESS["us-east"]}:${world.httpPort}/`));
  });
});

test("no balancer or backend outlives a demo world that was killed", { timeout: 60_000 }, async (context) => {
  const world = await startDemoWorld(context);
  assert.equal(childrenOf(world.process.pid).length, PROCESSES);
  world.process.signal("SIGKILL");
  assert.equal(await world.process.ended, null);
  await assert.rejects(fetch(`http://127.0.11.1:${world.httpPort}/`));
});

test("a busy port is named with its owner, and the way out", { timeout: 60_000 }, async (context) => {
  const base = await freePortsOfDemo();
  for (const [name, address, port] of [
    ["DNS", "127.0.0.1", base],
    ["API", "127.0.0.1", base + 1],
    ["region", "127.0.12.1", base + 2],
  ] as const) {
    const server = createServer().unref();
    await new Promise<void>((resolve) => server.listen({ host: address, port }, resolve));
    const folder = folderWith(context, {});
    const demo = startRhumb(context, ["demo", "--port-base", String(base), "--run", `${folder}/run`], folder);
    assert.equal(await demo.ended, 1, name);
    assert.match(demo.err(), new RegExp(`${port}`), name);
    await new Promise((resolve) => server.close(resolve));
    assert.match(demo.err(), new RegExp(`process ${process.pid} \\(`), name);
    assert.match(demo.err(), /--port-base/, name);
    assert.equal(childrenOf(demo.pid).length, 0);
  }
});
