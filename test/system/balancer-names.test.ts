/** A backend by its host name: the balancer follows the DNS, keeps what it knows while that fails, and drops nobody. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";
import { join } from "node:path";
import test, { type TestContext } from "node:test";
import { startNode } from "#app/node.ts";
import { silentLog } from "#base/log.ts";
import type { RhumbEvent } from "#state/events.ts";
import { type Script, serveScript } from "../app/dns-script.ts";
import { openClient, TOKEN, until } from "./balancer-bed.ts";
import { folderWith } from "./tools.ts";

/** Answers lines with the last number of its address. */
async function startAt(t: TestContext, address: string, port = 0): Promise<number> {
  const server = createServer((socket) => {
    socket.on("error", () => {});
    socket.setEncoding("utf8").on("data", (line: string) => socket.write(`${address.split(".")[3]} ${line}`));
  });
  server.listen(port, address);
  await once(server, "listening");
  t.after(() => server.close());
  return (server.address() as AddressInfo).port;
}

test("clients go where the name leads now, and those that live stay where they are", { timeout: 60_000 }, async (t) => {
  const port = await startAt(t, "127.0.0.2");
  for (const address of ["127.0.0.3", "127.0.0.4"]) await startAt(t, address, port);
  const script: Script = new Map([["web.test A", [{ address: "127.0.0.2" }]]]);
  const { server } = await serveScript(t, script, 1);
  const folder = folderWith(t, {
    token: TOKEN,
    "rhumb.yaml": `version: 1
node: lb1
control: { listen: "127.0.0.1:0", tokens: { ops: { token: "file:token", role: admin } } }
cluster: { state: state/ }
balancer:
  region: here
  workers: 2
  drain: 0s
  listeners:
    web: { listen: "127.0.0.1:0", protocol: tcp, pool: web }
  pools:
    web: { algorithm: round_robin, check: none, drain: 60s, backends: ["web.test:${port}"] }
`,
  });
  const events: RhumbEvent[] = [];
  const node = await startNode({
    config: join(folder, "rhumb.yaml"),
    version: "0.0.0",
    log: silentLog,
    nameServers: [server],
    onEvent: (event) => events.push(event),
  });
  t.after(() => node.close());
  const { address } = node.parts.balancer.stats().listeners[0]!;
  /** Who answers new clients, as many as reach every backend of each worker. */
  const serving = async (): Promise<string> => {
    const found = new Set<string>();
    for (let count = 0; count < 24; count++) {
      const client = await openClient(address.port);
      found.add((await client.ask("x")).split(" ")[0]!);
      client.close();
    }
    return [...found].sort().join(" ");
  };
  const told = (severity: string) => () =>
    events.filter((event) => event.kind === "names.fault" && event.severity === severity).map(({ subject }) => subject);

  assert.equal(await serving(), "2");
  const live = await openClient(address.port);
  assert.equal(await live.ask("1"), "2 1");

  script.set("web.test A", [{ address: "127.0.0.3" }]);
  await until(serving, (found) => found === "3", t);
  assert.equal(await live.ask("2"), "2 2");

  script.set("web.test A", [{ address: "127.0.0.3" }, { address: "127.0.0.4" }]);
  await until(serving, (found) => found === "3 4", t);

  script.set("web.test A", "refuse");
  await until(told("warning"), (subjects) => subjects.includes("web.test"), t);
  assert.equal(await serving(), "3 4");
  script.set("web.test A", [{ address: "127.0.0.4" }]);
  await until(told("resolved"), (subjects) => subjects.includes("web.test"), t);
  await until(serving, (found) => found === "4", t);

  const add = (host: string): Promise<Response> =>
    fetch(`${node.apiUrl}/backends`, {
      method: "POST",
      headers: { authorization: `Bearer ${TOKEN}`, "content-type": "application/json", connection: "close" },
      body: JSON.stringify({ address: host, port }),
    });
  const unknown = await add("nowhere.test");
  assert.deepEqual(
    [unknown.status, ((await unknown.json()) as { code: string }).code],
    [422, "RHUMB_BALANCER_UNRESOLVED"],
  );
  script.set("more.test A", [{ address: "127.0.0.2" }]);
  const added = await add("more.test");
  assert.equal(added.status, 201);
  const { address: host, resolved_address: resolved } = (await added.json()) as Record<string, unknown>;
  assert.deepEqual([host, resolved], ["more.test", "127.0.0.2"]);
  await until(serving, (found) => found === "2 4", t);
  script.set("more.test A", [{ address: "127.0.0.3" }]);
  await until(serving, (found) => found === "3 4", t);
  assert.equal(await live.ask("3"), "2 3", "through all of it");
  live.close();
});
