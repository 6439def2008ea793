/**
 * Slow clients, by slowhttptest: a thousand of each kind take nothing away from ordinary ones, and are cut off by the
 * limits that they run into.
 */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import test, { type TestContext } from "node:test";
import { type BalancerBed, until } from "./balancer-bed.ts";
import { keptAlive, startHttpBackend, startSite, steadyRequests } from "./http-site.ts";
import { findTool, without } from "./tools.ts";

const skip = without("slowhttptest");
const ARRIVALS_PER_SECOND = 500;
/** slowhttptest goes on for so long: longer than any limit that is to end its connections, so that they must. */
const SECONDS = 60;
const ORDINARY = { perSecond: 50, connections: 20 };

type Attack = {
  readonly name: string;
  readonly attackers: number;
  readonly path: string;
  readonly verb: "GET" | "POST";
  readonly words: readonly string[];
  /** The limit that is to end them, shortened for the test. */
  readonly timeouts: string;
  /** What counts those that ran into it. */
  readonly counter: readonly [name: string, label: string];
  readonly rules?: string;
};
const READING = ["-X", "-k", "1", "-n", "60", "-z", "32", "-w", "512", "-y", "1024"];
const ATTACKS: readonly Attack[] = [
  {
    name: "slow headers",
    attackers: 1_000,
    path: "/",
    verb: "GET",
    words: ["-H", "-i", "1", "-x", "24"],
    timeouts: "head: 3s",
    counter: ["rhumb_http_refused_total", 'reason="timeout"'],
  },
  {
    // The backend answers when it has the whole body, and it never comes.
    name: "slow bodies",
    attackers: 1_000,
    path: "/hash",
    verb: "POST",
    words: ["-B", "-i", "60", "-s", "8192"],
    timeouts: "body: 3s",
    counter: ["rhumb_http_aborted_total", 'side="client"'],
  },
  {
    // What the kernel's buffers hold has been sent, for us: such connections stand idle.
    name: "slow readers",
    attackers: 1_000,
    path: "/page",
    verb: "GET",
    words: READING,
    timeouts: "keepAlive: 3s",
    counter: ["rhumb_listener_ended_total", 'reason="closed"'],
  },
  {
    name: "slow readers of more than the kernel holds",
    attackers: 100,
    path: "/huge",
    verb: "GET",
    words: READING,
    timeouts: "send: 3s",
    counter: ["rhumb_http_aborted_total", 'side="client"'],
  },
  {
    name: "clients with overlapping ranges",
    attackers: 1_000,
    path: "/cached",
    verb: "GET",
    words: ["-R", "-a", "5", "-b", "2000"],
    timeouts: "keepAlive: 3s",
    counter: ["rhumb_http_cache_total", 'result="hit"'],
    rules: "rules: [{ pool: web, cache: true }],",
  },
];

/**
 * Starts slowhttptest; resolves when all attackers have come, the balancer has ended their connections, and it has counted
 * that the limit did. The last few of them may still be here, as many as ordinary connections.
 */
async function attack(t: TestContext, bed: BalancerBed, listener: string, url: string, row: Attack): Promise<void> {
  const common = ["-c", row.attackers, "-r", ARRIVALS_PER_SECOND, "-l", SECONDS, "-p", "5", "-t", row.verb, "-u", url];
  const child = spawn(findTool("slowhttptest")!, [...row.words, ...common.map(String)], { stdio: "ignore" });
  const ended = once(child, "exit");
  const [counter, label] = row.counter;
  await until(
    async () => await (await bed.api("GET", "/metrics")).text(),
    (text) =>
      metric(text, "rhumb_listener_accepted_total", listener) > row.attackers &&
      metric(text, "rhumb_listener_connections", listener) <= ORDINARY.connections &&
      metric(text, counter, listener, label) >= row.attackers * 0.9,
    t,
  );
  child.kill();
  await ended;
}
const metric = (text: string, name: string, listener: string, label?: string): number => {
  const labels = `listener="${listener}"${label === undefined ? "" : `,${label}`}`;
  return Number(new RegExp(`^${name}\\{${labels}\\} (\\d+)`, "m").exec(text)?.[1]);
};

for (const row of ATTACKS)
  for (const { protocol, name } of [
    { protocol: "http", name: "plain" },
    { protocol: "https", name: "site" },
  ])
    test(`${row.attackers} ${row.name} take nothing from ordinary clients (${protocol})`, {
      skip,
      timeout: 60_000,
    }, async (t) => {
      const backend = await startHttpBackend(t, "a");
      const listener = `${row.rules ?? ""} http: { timeouts: { ${row.timeouts}, linger: 1s } }`;
      const site = await startSite(t, { listener, ports: [backend.port] });
      const isTls = protocol === "https";
      const agent = keptAlive(isTls, ORDINARY.connections);
      t.after(() => agent.destroy());
      const ordinary = steadyRequests(site, isTls, agent, ORDINARY.perSecond);
      const url = `${protocol}://127.0.0.1:${isTls ? site.tlsPort : site.port}${row.path}`;
      await attack(t, site.bed, name, url, row);
      const { faults, served } = await ordinary.stop();
      assert.deepEqual(faults.slice(0, 5), []);
      assert.ok(served > 0);
    });
