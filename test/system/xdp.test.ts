/** `engine: xdp` for real: rhumb at one end of a veth pair, clients at the other, and what becomes of them when it dies. */
import assert from "node:assert/strict";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { request } from "node:http";
import { join } from "node:path";
import test, { type TestContext } from "node:test";
import type { StatusView } from "#api/views.ts";
import { encodeQuery } from "#dns/wire/encode-query.ts";
import { parseName } from "#dns/wire/name.ts";
import { TYPE } from "#dns/wire/types.ts";
import { childEnv } from "../cli/rhumb.ts";
import { createVethBed, INTERFACE, SERVER, type VethBed, withoutVeth } from "../dns/transport/veth-bed.ts";
import { projectFolder, type RhumbProcess, startRhumb } from "./running.ts";
import { folderWith, without } from "./tools.ts";

const skip = withoutVeth() || without("kdig", "setpriv", "kxdpgun");
const timeout = 120_000;
const PORT = 53;
const ZONE =
  "$ORIGIN example.com.\n@ 60 SOA ns1 host 1 1h 10m 1w 60\n@ 60 NS ns1\nns1 60 A 10.89.0.1\nwww 60 A 192.0.2.1\n";
const SERVES = /Answering DNS on [^\n]* UDP by xdp/;

const configOf = (listen: readonly string[], name = INTERFACE): string => `version: 1
node: ns1
dns: { listen: ${JSON.stringify(listen)}, engine: xdp, interface: ${name}, workers: 1, rrl: { enabled: false } }
control: { listen: "unix:control.sock" }
zones: zones/
cluster: { state: state/ }
`;
const LISTEN = [`${SERVER[4]}:${PORT}`, `[${SERVER[6]}]:${PORT}`];

type World = { readonly bed: VethBed; readonly folder: string };
function createWorld(t: TestContext, yaml = configOf(LISTEN)): World {
  const folder = folderWith(t, { "rhumb.yaml": yaml, "zones/example.com.zone": ZONE, "zones/services.yaml": "{}\n" });
  const bed = createVethBed();
  t.after(() => bed.close());
  return { bed, folder };
}
const start = (t: TestContext, { bed, folder }: World): RhumbProcess =>
  bed.inside("server", () => startRhumb(t, ["start", "-c", "rhumb.yaml"], folder));

async function get(folder: string, path: string): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const asked = request({ socketPath: join(folder, "control.sock"), path });
  asked.on("response", async (response) => resolve((await response.toArray()).join("")));
  asked.on("error", reject);
  asked.end();
  return promise;
}
const statusOf = async ({ folder }: World) => JSON.parse(await get(folder, "/status")) as StatusView;
const receivedBy = (status: StatusView): number => status.engine!.xdp!.queues[0]!.counters["received"]!;

/** @returns the answer in kdig's short form */
const kdig = ({ bed }: World, address: string, ...more: readonly string[]): string =>
  bed.shell("client", `kdig @${address} www.example.com A +short ${["+timeout=5", ...more].join(" ")}`).trim();

test("rhumb answers by AF_XDP, and on sockets what the kernel is left", { skip, timeout }, async (t) => {
  const world = createWorld(t);
  const rhumb = start(t, world);
  await rhumb.printed(SERVES);
  await rhumb.printed(/Control API on/);
  for (const address of Object.values(SERVER)) {
    assert.equal(kdig(world, address), "192.0.2.1");
    assert.equal(kdig(world, address, "+tcp"), "192.0.2.1");
  }
  const status = await statusOf(world);
  const { name, xdp } = status.engine!;
  assert.deepEqual([name, xdp!.interface, xdp!.mode, receivedBy(status)], ["xdp", INTERFACE, "native", 2]);
  assert.match(world.bed.shell("server", `ip link show ${INTERFACE}`), new RegExp(`xdp .*id ${xdp!.programId} `, "s"));
  assert.match(await get(world.folder, "/metrics"), /^rhumb_dns_xdp_frames_total\{queue="0",direction="sent"\} 2$/m);

  // An address that comes by a reload goes to the queues; one that goes by a reload leaves them.
  world.bed.shell("server", `ip address add 10.89.0.9/24 dev ${INTERFACE}`);
  writeFileSync(join(world.folder, "rhumb.yaml"), configOf([`10.89.0.9:${PORT}`]));
  rhumb.signal("SIGHUP");
  while ((await statusOf(world)).listen.every(({ address }) => address !== "10.89.0.9"));
  assert.equal(kdig(world, "10.89.0.9"), "192.0.2.1");
  assert.equal(receivedBy(await statusOf(world)), 3);
  // What came by it is answered first: it may go a little later than the other came.
  const isAnswered = (address: string): boolean => {
    try {
      return kdig(world, address, "+retry=0", "+timeout=1") !== "";
    } catch {
      return false;
    }
  };
  while (isAnswered(SERVER[4]));

  rhumb.signal("SIGTERM");
  assert.equal(await rhumb.ended, 0);
  assert.doesNotMatch(world.bed.shell("server", `ip link show ${INTERFACE}`), /xdp/);
});

/** Refuses all, on a socket that shares the port. */
const SECOND = `
  import { openUdpBatch } from "#dns/transport/udp-batch.ts";
  import { loadLibc } from "#dns/transport/libc.ts";
  const respond = (request, length, client, out) => { out.set(request.subarray(0, length)); out[2] |= 0x80; out[3] = 5; return length; };
  const listen = { address: "${SERVER[4]}", port: ${PORT} };
  openUdpBatch({ libc: loadLibc(), listen, respond, counters: new Float64Array(200) });
  console.log("serves");`;

test("when rhumb is killed under load, the sockets of a process beside answer", { skip, timeout }, async (t) => {
  const world = createWorld(t);
  const { bed, folder } = world;
  const rhumb = start(t, world);
  await rhumb.printed(SERVES);
  await rhumb.printed(/Control API on/);
  const second = bed.start("server", [process.execPath, "--input-type=module-typescript", "-e", SECOND], {
    cwd: projectFolder,
    env: childEnv(),
    stdio: ["ignore", "pipe", "inherit"],
  });
  await once(second.stdout!, "data");
  writeFileSync(join(folder, "queries"), "www.example.com A\n");
  const load = ["kxdpgun", "-t", "60", "-Q", "20000", "-i", join(folder, "queries"), SERVER[4]];
  bed.start("client", load, { stdio: "ignore" });
  while (receivedBy(await statusOf(world)) < 1_000);

  const asker = createSocket("udp4");
  t.after(() => asker.close());
  await bed.inside("client", async () => {
    asker.bind(1_000); // kxdpgun takes whatever comes to 2,000 and above
    await once(asker, "listening");
  });
  const query = encodeQuery(parseName("www.example.com") as Uint8Array, TYPE.A);
  const asking = setInterval(() => asker.send(query, PORT, SERVER[4]), 2);
  t.after(() => clearInterval(asking));
  const isOfRhumb = (message: Buffer): boolean => (message[3]! & 15) === 0;
  const answers = async (count: number): Promise<number> => {
    let ofRhumb = 0;
    for (let index = 0; index < count; index++) {
      const [message] = (await once(asker, "message")) as [Buffer];
      if (isOfRhumb(message)) ofRhumb++;
    }
    return ofRhumb;
  };
  assert.equal(await answers(200), 200, "while it lives, nothing reaches the sockets");
  rhumb.signal("SIGKILL");
  const killedMs = performance.now();
  while ((await answers(1)) === 1);
  t.diagnostic(
    `the first answer of the second process came ${Math.round(performance.now() - killedMs)} ms after SIGKILL`,
  );
  assert.equal(await answers(100), 0);
});

test("rhumb says what it lacks for AF_XDP, and does not start", { skip, timeout }, async (t) => {
  const world = createWorld(t, configOf(LISTEN, "eth7"));
  const rhumb = start(t, world);
  assert.equal(await rhumb.ended, 1);
  assert.match(rhumb.err() + rhumb.out(), /eth7: there is none of this name/);

  const { bed, folder } = createWorld(t);
  const words = [join(projectFolder, "bin/rhumb"), "start", "-c", "rhumb.yaml"];
  const poor = bed.start("server", ["setpriv", "--bounding-set=-net_raw", process.execPath, ...words], {
    cwd: folder,
    env: childEnv(),
    stdio: ["ignore", "pipe", "pipe"],
  });
  const said = Promise.all([poor.stdout!.toArray(), poor.stderr!.toArray()]);
  const [code] = await once(poor, "exit");
  assert.equal(code, 1);
  assert.match((await said).flat().join(""), /lacks .*CAP_NET_RAW/);
});
