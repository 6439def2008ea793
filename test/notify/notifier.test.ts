/** The notifier against a real HTTP server and real programs; time is moved by hand. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type IncomingHttpHeaders } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test, { type TestContext } from "node:test";
import { createManualClock } from "#base/clock.ts";
import { silentLog } from "#base/log.ts";
import { createNotifier, type NotifierOptions, REPEAT_MS } from "#notify/create-notifier.ts";
import type { RhumbEvent } from "#state/events.ts";
import type { NotifySpec } from "#state/snapshot.ts";

type Received = { path: string; headers: IncomingHttpHeaders; body: Record<string, never> };

/** A receiver that answers with the next status of its list, then 200. */
async function receiver(t: TestContext, statuses: number[] = []) {
  const received: Received[] = [];
  const waiting: (() => void)[] = [];
  const server = createServer((request, response) => {
    let text = "";
    request.on("data", (chunk) => {
      text += chunk;
    });
    request.on("end", () => {
      const status = statuses.shift() ?? 200;
      if (status === 302) response.setHeader("location", "/elsewhere");
      response.writeHead(status).end();
      received.push({ path: request.url!, headers: request.headers, body: JSON.parse(text) });
      for (const wake of waiting.splice(0)) wake();
    });
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    received,
    async count(wanted: number): Promise<Received[]> {
      while (received.length < wanted) await new Promise<void>((wake) => waiting.push(wake));
      return received;
    },
  };
}

function setUp(t: TestContext, specs: NotifySpec[], more: Partial<NotifierOptions> = {}) {
  const clock = createManualClock();
  const results: string[] = [];
  const waiting: (() => void)[] = [];
  const wake = (): void => {
    for (const go of waiting.splice(0)) go();
  };
  const log = {
    ...silentLog,
    warn(_fields: object, says: string) {
      if (!/tried again/.test(says)) return;
      results.push("retry");
      wake();
    },
  };
  const notifier = createNotifier({
    specs,
    node: "ns1",
    log,
    clock,
    rng: () => 0.5,
    observe: (name, result) => {
      results.push(`${name} ${result}`);
      wake();
    },
    ...more,
  });
  t.after(() => notifier.close());
  /** Waits for so many outcomes: retries announced, messages delivered, failed or dropped. */
  const outcomes = async (wanted: number): Promise<string[]> => {
    while (results.length < wanted) await new Promise<void>((go) => waiting.push(go));
    return results;
  };
  return { notifier, clock, outcomes };
}

const webhook = (url: string, name = "hook"): NotifySpec => ({
  kind: "webhook",
  name,
  url,
  headers: { authorization: "Bearer x" },
});
const alarm = (more: Partial<RhumbEvent> = {}): RhumbEvent => ({
  kind: "health.transition",
  atMs: 1_800_000_000_000,
  severity: "alarm",
  subject: "region/eu-west",
  says: "eu-west is down",
  data: { from: "up" },
  ...more,
});

test("a webhook gets the event as JSON with the configured headers", async (t) => {
  const { url, count } = await receiver(t);
  const { notifier } = setUp(t, [webhook(`${url}/in`)]);
  notifier.notify(alarm());
  const [first] = await count(1);
  assert.equal(first!.path, "/in");
  assert.equal(first!.headers.authorization, "Bearer x");
  assert.equal(first!.headers["content-type"], "application/json");
  assert.deepEqual(first!.body, {
    version: 1,
    node: "ns1",
    kind: "health.transition",
    severity: "alarm",
    subject: "region/eu-west",
    says: "eu-west is down",
    at: "2027-01-15T08:00:00.000Z",
    data: { from: "up" },
  });
});

test("Alertmanager gets an alert that lives past the next repeat, and its end under the same labels", async (t) => {
  const { url, count } = await receiver(t);
  const { notifier } = setUp(t, [{ kind: "alertmanager", name: "am", url: `${url}/` }]);
  notifier.notify(alarm());
  notifier.notify(alarm({ severity: "resolved", atMs: 1_800_000_060_000 }));
  const [first, second] = await count(2);
  assert.equal(first!.path, "/api/v2/alerts");
  const [firing] = first!.body as unknown as { labels: object; startsAt: string; endsAt: string }[];
  const [ended] = second!.body as unknown as { labels: object; startsAt?: string; endsAt: string }[];
  assert.deepEqual(firing!.labels, {
    alertname: "rhumb.health.transition",
    subject: "region/eu-west",
    node: "ns1",
    severity: "alarm",
  });
  assert.deepEqual(ended!.labels, firing!.labels);
  assert.ok(Date.parse(firing!.endsAt) > 1_800_000_000_000 + REPEAT_MS);
  assert.equal(Date.parse(ended!.endsAt), 1_800_000_060_000);
});

test("the same alarm is told once, again after four hours, and once when it ends", async (t) => {
  const { url, received } = await receiver(t);
  const { notifier, clock, outcomes } = setUp(t, [webhook(url)]);
  notifier.notify(alarm());
  notifier.notify(alarm());
  await outcomes(1);
  clock.advance(REPEAT_MS - 1);
  notifier.notify(alarm({ says: "still down" }));
  clock.advance(1); // what is repeated is what was said last
  await outcomes(2);
  notifier.notify(alarm({ severity: "resolved", says: "up again" }));
  notifier.notify(alarm({ severity: "resolved", says: "up again" }));
  await outcomes(3);
  notifier.notify(alarm({ says: "down again" }));
  await outcomes(4);
  assert.deepEqual(
    received.map(({ body }) => body["says"]),
    ["eu-west is down", "still down", "up again", "down again"],
  );
});

test("an alarm that stays open is repeated every four hours by itself, so that nobody takes it for ended", async (t) => {
  const { url, received } = await receiver(t);
  const { notifier, clock, outcomes } = setUp(t, [{ kind: "alertmanager", name: "am", url }]);
  notifier.notify(alarm());
  await outcomes(1);
  for (let repeats = 1; repeats <= 2; repeats++) {
    clock.advance(REPEAT_MS);
    await outcomes(1 + repeats);
  }
  const alerts = received.map(({ body }) => (body as unknown as { startsAt: string; endsAt: string }[])[0]!);
  for (const [index, { endsAt }] of alerts.entries()) {
    const next = alerts[index + 1];
    if (next) assert.ok(Date.parse(next.startsAt) < Date.parse(endsAt), "the next comes before the last one ends");
  }
  notifier.notify(alarm({ severity: "resolved" }));
  await outcomes(4);
  clock.advance(2 * REPEAT_MS);
  assert.equal(received.length, 4);
});

test("what has happened and is over is told, not repeated, and leaves the open alarms by itself", async (t) => {
  const { url, received } = await receiver(t);
  const { notifier, clock, outcomes } = setUp(t, [webhook(url)]);
  notifier.notify(alarm({ kind: "engine.worker-restarted", severity: "warning", subject: "udp-0" }));
  await outcomes(1);
  assert.equal(notifier.open().length, 1);
  clock.advance(2 * REPEAT_MS);
  assert.equal(notifier.open().length, 0);
  assert.equal(received.length, 1);
});

test("Alertmanager is told the end of a warning that became an alarm: the severity is a label", async (t) => {
  const { url, received } = await receiver(t);
  const hook = await receiver(t);
  const { notifier, outcomes } = setUp(t, [{ kind: "alertmanager", name: "am", url }, webhook(hook.url)]);
  notifier.notify(alarm({ severity: "warning" }));
  await outcomes(2);
  notifier.notify(alarm());
  await outcomes(5);
  notifier.notify(alarm({ severity: "resolved" }));
  await outcomes(7);
  const open = new Set<string>();
  const seen = received.map(({ body }) => {
    const { labels, startsAt } = (body as unknown as { labels: { severity: string }; startsAt?: string }[])[0]!;
    if (startsAt) open.add(labels.severity);
    else open.delete(labels.severity);
    return [...open].join();
  });
  assert.deepEqual(seen, ["warning", "", "alarm", ""]);
  assert.equal(hook.received.length, 3); // and nobody else hears of an end that is none
});

test("a new notifier is told what is open already, such as what was raised before the first configuration", async (t) => {
  const { url, received } = await receiver(t);
  const { notifier, outcomes } = setUp(t, []);
  notifier.notify(alarm({ kind: "geo.refused", says: "no database" }));
  notifier.notify(alarm({ says: "over" }));
  notifier.notify(alarm({ severity: "resolved" }));
  notifier.apply([webhook(url)]);
  await outcomes(1);
  notifier.apply([webhook(url)]);
  notifier.notify(alarm({ says: "next" }));
  await outcomes(2);
  assert.deepEqual(
    received.map(({ body }) => body["says"]),
    ["no database", "next"],
  );
});

test("another subject, another kind, and a worse severity are news; info and an unknown end are not", async (t) => {
  const { url, received } = await receiver(t);
  const { notifier, outcomes } = setUp(t, [webhook(url)]);
  notifier.notify(alarm({ severity: "info" }));
  notifier.notify(alarm({ severity: "resolved" }));
  notifier.notify(alarm({ severity: "warning", says: "1" }));
  notifier.notify(alarm({ says: "2" }));
  notifier.notify(alarm({ subject: "region/us-east", says: "3" }));
  notifier.notify(alarm({ kind: "geo.refused", says: "4" }));
  await outcomes(4);
  assert.deepEqual(
    received.map(({ body }) => body["says"]),
    ["1", "2", "3", "4"],
  );
  assert.deepEqual(
    notifier.open().map(({ kind, subject, severity }) => [kind, subject, severity]),
    [
      ["health.transition", "region/eu-west", "alarm"],
      ["health.transition", "region/us-east", "alarm"],
      ["geo.refused", "region/eu-west", "alarm"],
    ],
  );
});

test("a failure is tried again with growing waits, in order, and given up after six times", async (t) => {
  const { url, received } = await receiver(t, [500, 503, 429, 500, 500, 500]);
  let calls = 0;
  const counted: typeof fetch = (...request) => {
    calls++;
    return fetch(...request);
  };
  const { notifier, clock, outcomes } = setUp(t, [webhook(url)], { fetch: counted });
  notifier.notify(alarm({ says: "first" }));
  notifier.notify(alarm({ subject: "region/us-east", says: "second" }));
  for (const [index, waitMs] of [1_500, 3_000, 6_000, 12_000, 24_000].entries()) {
    await outcomes(index + 1);
    clock.advance(waitMs - 1);
    assert.equal(calls, index + 1, `${waitMs} ms before attempt ${index + 2}`);
    clock.advance(1);
    assert.equal(calls, index + 2);
  }
  assert.deepEqual((await outcomes(7)).slice(-2), ["hook failed", "hook delivered"]);
  assert.deepEqual(
    received.map(({ body }) => body["says"]),
    [...Array(6).fill("first"), "second"],
  );
});

for (const { name, status } of [
  { name: "a refusal", status: 400 },
  { name: "an unknown path", status: 404 },
]) {
  test(`${name} (${status}) is not tried again`, async (t) => {
    const { url, received } = await receiver(t, [status]);
    const { notifier, outcomes } = setUp(t, [webhook(url)]);
    notifier.notify(alarm());
    assert.deepEqual(await outcomes(1), ["hook failed"]);
    assert.equal(received.length, 1);
  });
}

test("a redirect is not followed: headers may hold a secret", async (t) => {
  const { url, received } = await receiver(t, [302]);
  const { notifier, outcomes } = setUp(t, [webhook(url)]);
  notifier.notify(alarm());
  assert.deepEqual(await outcomes(1), ["retry"]);
  assert.deepEqual(
    received.map(({ path }) => path),
    ["/"],
  );
});

test("a stuck notifier delays no other, and its queue stays bounded: the oldest that wait go", async (t) => {
  const good = await receiver(t);
  const stuck = await receiver(t);
  const { promise: released, resolve: release } = Promise.withResolvers<void>();
  const gated: typeof fetch = async (url, init) => {
    if (String(url).startsWith(stuck.url)) await released;
    return fetch(url, init);
  };
  const { notifier, outcomes } = setUp(t, [webhook(stuck.url, "stuck"), webhook(good.url, "good")], { fetch: gated });
  for (let index = 0; index < 150; index++) {
    notifier.notify(alarm({ subject: `region/r${index}`, says: `${index}` }));
    await outcomes(index + 1 + Math.max(0, index - 99)); // one delivered each, and from the 101st on one dropped
  }
  release();
  await stuck.count(100);
  const dropped = (await outcomes(300)).filter((text) => text === "stuck dropped").length;
  assert.equal(dropped, 50);
  assert.deepEqual(
    stuck.received.map(({ body }) => Number(body["says"])),
    [0, ...Array.from({ length: 99 }, (_, index) => 51 + index)],
  );
});

test("a command gets JSON on standard input, no shell, and a clean environment", async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "rhumb-notify-"));
  t.after(() => rmSync(folder, { recursive: true }));
  const out = join(folder, "out.json");
  const script = join(folder, "take.mjs");
  writeFileSync(
    script,
    `import { readFileSync, writeFileSync } from "node:fs";
     writeFileSync(process.argv[2], JSON.stringify({ input: JSON.parse(readFileSync(0, "utf8")), argument: process.argv[3], env: Object.keys(process.env) }));`,
  );
  const { notifier, outcomes } = setUp(t, [
    { kind: "command", name: "cmd", command: [process.execPath, script, out, "$(touch x); `id`"] },
  ]);
  notifier.notify(alarm());
  assert.deepEqual(await outcomes(1), ["cmd delivered"]);
  const { input, argument, env } = JSON.parse(readFileSync(out, "utf8"));
  assert.equal(input.says, "eu-west is down");
  assert.equal(argument, "$(touch x); `id`");
  assert.deepEqual(env, ["PATH"]);
});

test("a command that hangs is killed with all it started, and its failure is told", async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "rhumb-notify-"));
  t.after(() => rmSync(folder, { recursive: true }));
  const { notifier } = setUp(t, [{ kind: "command", name: "cmd", command: ["sh", "-c", "sleep 600 & wait"] }], {
    timeoutMs: 200,
  });
  assert.deepEqual(await notifier.test("cmd"), [{ name: "cmd", isDelivered: false, says: "killed after 200 ms" }]);
});

test("test() says of each notifier what came of it, past queue and dedup", async (t) => {
  const { url, received } = await receiver(t, [200, 500]);
  const { notifier } = setUp(t, [
    webhook(url, "hook"),
    { kind: "command", name: "none", command: ["/nonexistent/program"] },
    { kind: "command", name: "bad", command: ["sh", "-c", "echo no luck >&2; exit 3"] },
  ]);
  assert.deepEqual(await notifier.test("hook"), [{ name: "hook", isDelivered: true, says: "200 OK" }]);
  const all = await notifier.test();
  assert.deepEqual(
    all.map(({ name, isDelivered }) => [name, isDelivered]),
    [
      ["hook", false],
      ["none", false],
      ["bad", false],
    ],
  );
  assert.match(all[1]!.says, /ENOENT/);
  assert.equal(all[2]!.says, "exit status 3: no luck");
  assert.equal(received[0]!.body["kind"], "notify.test");
  await assert.rejects(notifier.test("nobody"), { code: "RHUMB_NOTIFY_UNKNOWN" });
});

test("apply() ends what waits for a notifier that is gone and keeps the rest", async (t) => {
  const old = await receiver(t, [500]);
  const next = await receiver(t);
  const { notifier, clock, outcomes } = setUp(t, [webhook(old.url, "hook"), webhook("http://127.0.0.1:9", "gone")]);
  notifier.notify(alarm());
  await outcomes(2);
  notifier.apply([webhook(next.url, "hook")]);
  clock.advance(2_000);
  const [moved] = await next.count(1);
  assert.equal(moved!.body["says"], "eu-west is down");
  await assert.rejects(notifier.test("gone"), { code: "RHUMB_NOTIFY_UNKNOWN" });
});
