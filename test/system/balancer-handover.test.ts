/**
 * No connection dropped: clients keep asking while the configuration changes 20 times (backends added and removed,
 * algorithms, a listener more) and the program is replaced 3 times; none sees an error, no new one is refused.
 */
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:net";
import test from "node:test";
import {
  type BedConfig,
  configHead,
  type LineClient,
  openClient,
  startBackend,
  startBalancer,
} from "./balancer-bed.ts";

const CLIENTS = 200;
const RELOADS = 20;
const REPLACEMENTS = 3;
const RELOADS_PER_REPLACEMENT = Math.floor(RELOADS / (REPLACEMENTS + 1));
const ALGORITHMS = ["p2c", "round_robin", "least_connections", "maglev", "ring_hash"] as const;

for (const engine of ["epoll", "net"] as const) {
  test(`${CLIENTS} connections live through ${RELOADS} reloads and ${REPLACEMENTS} replacements of the process (${engine})`, async (t) => {
    const backends = await Promise.all(["a", "b", "c"].map((name) => startBackend(t, name)));
    const config =
      (change: number): BedConfig =>
      ({ port, apiPort }) => {
        const used = change % 2 === 0 ? backends : backends.slice(0, 2);
        const list = used.map((backend) => `"127.0.0.1:${backend.port}"`).join(", ");
        return `${configHead(apiPort)}balancer:
  region: here
  workers: 2
  engine: ${engine}
  drain: 60s
  listeners:
    web: { listen: "127.0.0.1:${port}", protocol: tcp, pool: web }
  pools:
    web: { algorithm: ${ALGORITHMS[change % ALGORITHMS.length]}, drain: 120s, check: { kind: tcp, interval: 1s, timeout: 500ms }, backends: [${list}] }
`;
      };
    let facts: Parameters<BedConfig>[0] | undefined;
    const bed = await startBalancer(t, (given) => {
      facts = given;
      return config(0)(given);
    });

    const faults: string[] = [];
    let isOver = false;
    let asked = 0;
    const clients: LineClient[] = [];
    /** Asks again and again on one connection, from the beginning to the end of everything. */
    const live = async (client: LineClient, number: number): Promise<void> => {
      for (let line = 0; !isOver; line++) {
        const answer = await client.ask(`${number}-${line}`);
        if (!answer.endsWith(` ${number}-${line}`)) faults.push(`client ${number}: ${answer}`);
        asked++;
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    };
    const living: Promise<void>[] = [];
    for (let number = 0; number < CLIENTS; number++) {
      const client = await openClient(bed.port);
      clients.push(client);
      living.push(live(client, number).catch((error: Error) => void faults.push(`client ${number}: ${error.message}`)));
    }
    /** Comes anew each time: what would be refused or reset in an accept queue. */
    const come = async (): Promise<void> => {
      while (!isOver) {
        try {
          const client = await openClient(bed.port);
          await client.ask("new");
          client.close();
          asked++;
        } catch (error) {
          faults.push(`a new client: ${(error as Error).message}`);
        }
      }
    };
    const coming = [come(), come()];

    const before: Promise<void>[] = [];
    for (let change = 1; change <= RELOADS; change++) {
      await bed.reload(config(change)(facts!));
      if (change % RELOADS_PER_REPLACEMENT === 0 && before.length < REPLACEMENTS) {
        const pid = bed.pid();
        before.push((await bed.replace()).ended);
        assert.notEqual(bed.pid(), pid);
      }
    }
    isOver = true;
    await Promise.all([...living, ...coming]);
    assert.deepEqual(faults.slice(0, 5), []);
    assert.equal(before.length, REPLACEMENTS);
    assert.ok(asked > CLIENTS * 10, `${asked} lines`);
    // A process that was replaced lives as long as its connections, and no longer.
    for (const client of clients) client.close();
    await Promise.all(before);
  });
}

test("a listener that cannot have its new address goes on at the old one as if nothing had been", async (t) => {
  const backend = await startBackend(t, "a");
  const taken = createServer();
  taken.listen(0, "127.0.0.1");
  await once(taken, "listening");
  t.after(() => taken.close());
  const busy = (taken.address() as { port: number }).port;
  let config = "";
  const bed = await startBalancer(t, ({ port, apiPort }) => {
    config = `${configHead(apiPort)}balancer:
  region: here
  workers: 2
  listeners:
    web: { listen: "127.0.0.1:${port}", protocol: tcp, pool: web }
  pools:
    web: { backends: ["127.0.0.1:${backend.port}"] }
`;
    return config;
  });
  const faults: string[] = [];
  let isOver = false;
  const come = async (): Promise<void> => {
    while (!isOver) {
      try {
        const client = await openClient(bed.port);
        await client.ask("new");
        client.close();
      } catch (error) {
        faults.push((error as Error).message);
      }
    }
  };
  const stayer = await openClient(bed.port);
  await stayer.ask("1");
  const coming = [come(), come()];
  const moved = config.replace(`127.0.0.1:${bed.port}`, `127.0.0.1:${busy}`);
  for (let attempt = 0; attempt < 5; attempt++) {
    await assert.rejects(bed.reload(`${moved}# ${attempt}\n`), new RegExp(`127.0.0.1:${busy}`));
    assert.equal(await stayer.ask("2"), "a 2");
  }
  isOver = true;
  await Promise.all(coming);
  assert.deepEqual(faults, []);
  stayer.close();
});
