/** Large zones: read beside the main thread, once for each state of their files, and let go when they are replaced. */
import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test, { type TestContext } from "node:test";
import { startNode } from "#app/node.ts";
import { createZoneLoader, MAX_ZONE_OCTETS } from "#app/zone-loader.ts";
import { silentLog } from "#base/log.ts";
import { formatProblem } from "#base/problem.ts";
import { compile } from "#config/compile.ts";
import type { ConfigFiles } from "#config/files.ts";
import { loadConfig } from "#config/load.ts";
import { testContext } from "../config/load-good.ts";

const ROOT = `version: 1
node: ns1
dns: { listen: ["127.0.0.1:0"], workers: 2 }
zones: zones/
`;
const HEAD = "$TTL 60\n@ SOA ns1 host 1 7200 900 1209600 300\n@ NS ns1\nns1 A 192.0.2.53\n";

function makeFolder(t: TestContext, files: Readonly<Record<string, string>>) {
  const folder = mkdtempSync(join(tmpdir(), "rhumb-zones-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const write = (file: string, text: string): void => {
    mkdirSync(join(folder, file, ".."), { recursive: true });
    writeFileSync(join(folder, file), text);
  };
  write("rhumb.yaml", ROOT);
  for (const [file, text] of Object.entries(files)) write(file, text);
  return { folder, config: join(folder, "rhumb.yaml"), write };
}

function makeLoader(t: TestContext, files: Readonly<Record<string, string>>) {
  const { folder, config, write } = makeFolder(t, files);
  const context = testContext();
  const loader = createZoneLoader(context.zoneSeed);
  t.after(() => loader.close());
  const read = (maxZoneOctets: number) => loadConfig(config, { maxZoneOctets });
  return {
    folder,
    write,
    read,
    loader,
    load: (serving?: ConfigFiles) => loader.complete(read(10), serving),
    compile: (loaded: ConfigFiles) => compile(loaded, { ...context, generation: { epoch: 1, sequence: 1 }, nowMs: 0 }),
  };
}
const imagesOf = ({ zones }: ConfigFiles) => zones.map(({ loaded }) => loaded?.image);

test("zones that are read in the thread become what those become that are read in passing", async (t) => {
  const { read, load, compile } = makeLoader(t, {
    "zones/a.example.zone": `${HEAD}$INCLUDE more.inc\nw STEER nowhere\n`,
    "zones/more.inc": "x A 192.0.2.1\nx A 192.0.2.1\n",
    "zones/b.example.zone": `${HEAD}y TXT "é"\n`,
    "zones/c.example.zone": `${HEAD}y A 192.0.2.256\n`,
    "zones/a..b.zone": HEAD,
  });
  assert.ok(read(100).unread, "left unread");
  const [inPassing, inThread] = [read(10_000), await load()];
  assert.equal(inPassing.unread, undefined);
  const [expected, actual] = [compile(inPassing), compile(inThread)];
  assert.ok("problems" in expected && "problems" in actual);
  assert.deepEqual(actual.problems.map(formatProblem), expected.problems.map(formatProblem));
  assert.equal(actual.problems.length, 4); // a bad address, a bad file name, a service that is not there, a repetition
  assert.deepEqual(actual.summary, expected.summary);
  assert.deepEqual(new Set(inThread.watched.files), new Set(inPassing.watched.files));
  assert.deepEqual(new Set(inThread.watched.folders), new Set(inPassing.watched.folders));
  assert.deepEqual(inThread.sources.toSorted(), inPassing.sources.toSorted());
  const image = imagesOf(inThread)[2]!;
  assert.equal(image.file, inThread.zones[2]!.file);
  assert.equal(image.recordCount, 4);
});

test("what an $INCLUDE adds counts for what is read in passing", (t) => {
  const { read } = makeLoader(t, { "zones/a.example.zone": `${HEAD}$INCLUDE i\n`, "zones/i": `;${"-".repeat(5_000)}` });
  assert.ok(read(5_000).unread);
  assert.equal(read(6_000).unread, undefined);
});

test("zones are read again when a file of theirs changed, and only those get new images", async (t) => {
  const { folder, write, load } = makeLoader(t, {
    "zones/a.example.zone": `${HEAD}$INCLUDE i\n`,
    "zones/i": "x A 192.0.2.1\n",
    "zones/b.example.zone": HEAD,
  });
  const first = await load();
  assert.ok(imagesOf(first).every((image) => image));
  const again = await load(first);
  assert.equal(again.zones, first.zones, "nothing was read");
  assert.equal(again.digest, first.digest);
  utimesSync(join(folder, "zones/b.example.zone"), 1, 1);
  const touched = await load(first);
  assert.notEqual(touched.zones, first.zones);
  assert.deepEqual(imagesOf(touched), imagesOf(first));
  assert.equal(touched.digest, first.digest);
  write("zones/i", "x A 192.0.2.2\n");
  const changed = await load(touched);
  assert.notEqual(changed.digest, first.digest);
  assert.notEqual(imagesOf(changed)[0], imagesOf(first)[0]);
  assert.equal(imagesOf(changed)[1], imagesOf(first)[1]);
});

test("an $INCLUDE that was missing is found when it is there", async (t) => {
  const { write, load } = makeLoader(t, { "zones/a.example.zone": `${HEAD}$INCLUDE i\n` });
  const first = await load();
  assert.equal(imagesOf(first)[0], undefined);
  assert.ok(first.watched.files.some((file) => file.endsWith("zones/i")));
  write("zones/i", "x A 192.0.2.1\n");
  assert.equal(imagesOf(await load())[0]?.recordCount, 4);
});

test("a zone file that goes while it is to be read is named as unreadable", async (t) => {
  const { folder, loader, read } = makeLoader(t, { "zones/a.example.zone": HEAD, "zones/b.example.zone": HEAD });
  const files = read(10);
  rmSync(join(folder, "zones/b.example.zone"));
  const { unreadable, zones } = await loader.complete(files, undefined);
  assert.match(unreadable[0]!.says, /There is no file .*b\.example\.zone/);
  assert.equal(zones.length, 1);
});

test("reload after reload of a large zone, memory stays where it was", { timeout: 120_000 }, async (t) => {
  const RECORDS = 60_000;
  const zoneOf = (serial: number): string => {
    const text = "x".repeat(250);
    const lines = [HEAD.replace(" 1 7200", ` ${serial} 7200`)];
    for (let index = 0; index < RECORDS; index++) lines.push(`n${index} TXT ${text}`);
    return lines.join("\n");
  };
  const { config, folder, write } = makeFolder(t, { "zones/a.example.zone": zoneOf(1) });
  const node = await startNode({ config, version: "0.0.0", log: silentLog, stateFolder: join(folder, "state") });
  t.after(() => node.close());
  const image = () => node.parts.door.current()!.snapshot.dns!.zones[0]!;
  const imageOctets = image().rdata.buffer.byteLength;
  assert.ok(imageOctets > 16 * 1_048_576 && RECORDS * 250 > MAX_ZONE_OCTETS);
  const reload = async (serial: number): Promise<number> => {
    write("zones/a.example.zone", zoneOf(serial));
    await node.reload();
    assert.equal(image().serial, serial);
    return process.memoryUsage.rss();
  };
  await reload(2);
  const before = await reload(3);
  const rss: number[] = [];
  for (let serial = 4; serial < 16; serial++) rss.push(await reload(serial));
  const after = Math.min(...rss.slice(-3)); // garbage is collected soon, not at once
  const images = (after - before) / imageOctets;
  t.diagnostic(`after 12 reloads more there are ${images.toFixed(1)} images of ${imageOctets >> 20} MiB more`);
  assert.ok(images < 4, `memory grew by ${images} images`);
});
