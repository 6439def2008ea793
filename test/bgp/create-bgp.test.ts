/** The engine against an ExaBGP that lives, dies, lies and stays silent. */
import assert from "node:assert/strict";
import test from "node:test";
import { advertiser, anycastSpec, createBed, prefixSpec, settle } from "./bed.ts";

const PREFIX = "203.0.113.1/32";

test("createBgp() announces once the self-check has worked for a second", async () => {
  const bed = createBed();
  await bed.advance(900);
  assert.equal(bed.phase(), "starting");
  assert.equal(bed.exabgp.route(PREFIX), undefined);
  await bed.advance(1_000);
  assert.equal(bed.phase(), "advertised");
  assert.equal(bed.exabgp.route(PREFIX), `announce route ${PREFIX} next-hop self`);
  const view = bed.bgp.view();
  assert.deepEqual(view.exabgp.version, "4.2.21");
  assert.deepEqual(view.prefixes[0]?.advertisers, ["lb1", "lb2"]);
  assert.equal(view.peers[0]?.isEstablished, true);
});

test("createBgp() withdraws when the self-check has failed for three seconds, and holds down longer each time", async () => {
  const bed = createBed();
  await bed.advance(2_000);
  bed.isOk = false;
  await bed.advance(3_000);
  assert.equal(bed.phase(), "advertised");
  await bed.advance(700);
  assert.equal(bed.phase(), "withdrawn");
  assert.equal(bed.exabgp.route(PREFIX), undefined);
  bed.isOk = true;
  await bed.advance(5_000);
  assert.equal(bed.phase(), "ready");
  assert.notEqual(bed.bgp.view().prefixes[0]?.heldUntilMs, null);
  await bed.advance(5_000);
  assert.equal(bed.phase(), "advertised");
  bed.isOk = false;
  await bed.advance(4_000);
  bed.isOk = true;
  await bed.advance(12_000);
  assert.equal(bed.phase(), "ready");
  await bed.advance(8_000);
  assert.equal(bed.phase(), "advertised");
  assert.equal(bed.bgp.view().prefixes[0]?.flaps, 2);
});

test("createBgp() goes on announcing while others are unreachable, and refuses to leave by plan", async () => {
  const bed = createBed();
  bed.others = { isKnown: false, says: "Redis is away", shares: [] };
  await bed.advance(2_000);
  assert.equal(bed.phase(), "advertised");
  bed.bgp.wish("operator", { kind: "withdraw", reason: "upgrade", owner: "kim" });
  await bed.advance(30_000);
  assert.equal(bed.phase(), "advertised");
  assert.match(bed.bgp.share()[0]?.refused ?? "", /Redis is away/);
  assert.equal(bed.bgp.stats().refusals, 1);
  assert.match(bed.says("anycast.refused").join(), /stays announced: kim withdrew it: upgrade/);
});

test("createBgp() drains by plan with GRACEFUL_SHUTDOWN and a longer path, then withdraws, then returns without hold-down", async () => {
  const bed = createBed();
  await bed.advance(2_000);
  bed.bgp.wish("operator", { kind: "withdraw", reason: "upgrade", owner: "kim" });
  await settle();
  assert.equal(bed.phase(), "draining");
  assert.equal(
    bed.exabgp.route(PREFIX),
    `announce route ${PREFIX} next-hop self as-path [ 65001 65001 65001 65001 ] community [ 65535:0 ]`,
  );
  await bed.advance(5_200);
  assert.equal(bed.phase(), "withdrawn");
  assert.equal(bed.exabgp.route(PREFIX), undefined);
  bed.bgp.wish("operator", { kind: "announce" });
  await settle();
  assert.equal(bed.phase(), "advertised");
  assert.equal(bed.exabgp.route(PREFIX), `announce route ${PREFIX} next-hop self`);
});

test("createBgp() withdraws when either of operator and evacuation wants it", async () => {
  const bed = createBed();
  await bed.advance(2_000);
  bed.bgp.wish("evacuation", { kind: "withdraw", reason: "evacuation", owner: "kim" });
  bed.bgp.wish("operator", { kind: "announce" });
  await settle();
  assert.equal(bed.phase(), "draining");
});

test("createBgp() gives way to a node of a lower name that drains at the same time", async () => {
  const bed = createBed();
  await bed.advance(2_000);
  bed.bgp.wish("operator", { kind: "withdraw", reason: "upgrade", owner: "kim" });
  await settle();
  bed.others = { ...bed.others, shares: [advertiser("lb0", "draining")] };
  await bed.advance(300);
  assert.equal(bed.phase(), "advertised");
  assert.match(bed.bgp.share()[0]?.refused ?? "", /nobody else announces it/);
});

test("createBgp() announces everything again to an ExaBGP that was restarted", async () => {
  const bed = createBed();
  await bed.advance(2_000);
  bed.exabgp.kill();
  await bed.advance(2_000);
  assert.equal(bed.bgp.view().exabgp.isAnswering, false);
  assert.match(bed.bgp.view().exabgp.says, /\/run\/in: nobody reads it/);
  assert.equal(bed.phase(), "advertised");
  bed.exabgp.start();
  await bed.advance(1_000);
  assert.equal(bed.exabgp.route(PREFIX), `announce route ${PREFIX} next-hop self`);
  assert.equal(bed.bgp.view().prefixes[0]?.flaps, 0);
});

test("createBgp() announces again what somebody else withdrew, and withdraws what somebody else announced", async () => {
  const bed = createBed();
  await bed.advance(2_000);
  bed.exabgp.rib.delete(PREFIX);
  await bed.advance(1_200);
  assert.notEqual(bed.exabgp.route(PREFIX), undefined);
  bed.isOk = false;
  await bed.advance(4_000);
  bed.exabgp.rib.set(PREFIX, "announced by hand");
  await bed.advance(1_200);
  assert.equal(bed.exabgp.route(PREFIX), undefined);
});

test("createBgp() takes a route that went away while it stood still for the guard's doing: held down, then announced", async () => {
  const bed = createBed();
  await bed.advance(2_000);
  bed.exabgp.rib.clear();
  await bed.standStill(4_000);
  await bed.advance(300);
  assert.equal(bed.phase(), "ready");
  assert.equal(bed.bgp.view().prefixes[0]?.flaps, 1);
  assert.match(bed.says("anycast.prefix").join(), /is withdrawn: The guard withdrew it while this process stood still/);
  await bed.advance(11_000);
  assert.equal(bed.phase(), "advertised");
  assert.notEqual(bed.exabgp.route(PREFIX), undefined);
});

test("createBgp() does not count standing still as a flap when the route is still there", async () => {
  const bed = createBed();
  await bed.advance(2_000);
  await bed.standStill(4_000);
  await bed.advance(2_000);
  assert.equal(bed.phase(), "advertised");
  assert.equal(bed.bgp.view().prefixes[0]?.flaps, 0);
});

test("createBgp() leaves a predecessor's route alone until the self-check has an opinion", async () => {
  const bed = createBed();
  bed.exabgp.rib.set(PREFIX, "of the process before");
  await bed.advance(800);
  assert.equal(bed.exabgp.route(PREFIX), "of the process before");
  bed.isOk = false;
  await bed.advance(4_000);
  assert.equal(bed.exabgp.route(PREFIX), undefined);
});

test("createBgp() lives through silence, junk and a full pipe", async () => {
  const bed = createBed();
  bed.exabgp.isSilent = true;
  await bed.advance(5_000);
  assert.match(bed.bgp.view().exabgp.says, /no answer to `version` for 2 s/);
  bed.exabgp.isSilent = false;
  bed.exabgp.room = 7;
  await bed.advance(1_500);
  bed.exabgp.say("done\ndone\nerror\nneighbor nonsense");
  await bed.advance(10_000);
  assert.equal(bed.phase(), "advertised");
  assert.equal(bed.exabgp.route(PREFIX), `announce route ${PREFIX} next-hop self`);
});

test("createBgp() announces the other prefixes while ExaBGP refuses one", async () => {
  const bed = createBed(anycastSpec({ prefixes: [prefixSpec(), prefixSpec({ prefix: "203.0.113.2/32" })] }));
  bed.exabgp.refuses = (command) => command.includes(`announce route ${PREFIX}`);
  await bed.advance(3_000);
  assert.equal(bed.exabgp.route(PREFIX), undefined);
  assert.notEqual(bed.exabgp.route("203.0.113.2/32"), undefined);
  assert.equal(bed.says("anycast.prefix").filter((text) => text.includes("refuses")).length, 1);
  bed.exabgp.refuses = () => false;
  await bed.advance(6_000);
  assert.notEqual(bed.exabgp.route(PREFIX), undefined);
});

test("createBgp() tells the guard all prefixes, five times a second, whether announced or not", async () => {
  const bed = createBed();
  await bed.advance(1_000);
  assert.equal(bed.exabgp.beats.length, 6);
  assert.equal(bed.exabgp.beats[0], `rhumb 1 ${PREFIX}\n`);
  bed.exabgp.setGuard(false);
  await bed.advance(300);
  assert.equal(bed.bgp.view().guard.isReading, false);
  assert.match(bed.says("anycast.session").join(), /if this node died now, its routes would stay/);
  bed.exabgp.setGuard(true);
  await bed.advance(300);
  assert.equal(bed.bgp.view().guard.isReading, true);
});

test("close() drains, withdraws and tells the guard that nothing is left, whoever else announces", async () => {
  const bed = createBed();
  bed.others = { ...bed.others, shares: [] };
  await bed.advance(2_000);
  const closing = bed.bgp.close();
  await bed.advance(300);
  assert.match(bed.exabgp.route(PREFIX) ?? "", /65535:0/);
  assert.equal(bed.bgp.share()[0]?.phase, "withdrawn", "others must not count on it");
  await bed.advance(5_500);
  await closing;
  assert.equal(bed.exabgp.route(PREFIX), undefined);
  assert.equal(bed.exabgp.beats.at(-1), "rhumb 1\n");
});

test("close() gives up where ExaBGP does not answer, and leaves the rest to the guard", async () => {
  const bed = createBed();
  await bed.advance(2_000);
  bed.exabgp.isSilent = true;
  const closing = bed.bgp.close();
  await bed.advance(12_000);
  await closing;
  assert.equal(bed.exabgp.beats.at(-1), `rhumb 1 ${PREFIX}\n`);
});

test("close({ leave: true }) leaves the route to the process that goes on", async () => {
  const bed = createBed();
  await bed.advance(2_000);
  await bed.bgp.close({ leave: true });
  assert.notEqual(bed.exabgp.route(PREFIX), undefined);
  assert.equal(bed.exabgp.beats.at(-1), `rhumb 1 ${PREFIX}\n`);
});

test("apply() withdraws a prefix that is no longer configured, and keeps the others as they are", async () => {
  const other = prefixSpec({ prefix: "203.0.113.2/32" });
  const bed = createBed(anycastSpec({ prefixes: [prefixSpec(), other] }));
  await bed.advance(2_000);
  bed.bgp.apply(anycastSpec({ prefixes: [{ ...other, med: 50 }] }));
  await bed.advance(400);
  assert.equal(bed.exabgp.route(PREFIX), undefined);
  assert.match(bed.exabgp.route("203.0.113.2/32") ?? "", /med 50/);
  assert.equal(bed.exabgp.beats.at(-1), "rhumb 1 203.0.113.2/32\n");
});

test("apply() without the section withdraws everything; with it again everything returns", async () => {
  const bed = createBed();
  await bed.advance(2_000);
  bed.bgp.apply(undefined);
  await bed.advance(6_000);
  assert.equal(bed.exabgp.route(PREFIX), undefined);
  assert.equal(bed.bgp.view().isConfigured, false);
  bed.bgp.apply(anycastSpec());
  await bed.advance(2_000);
  assert.notEqual(bed.exabgp.route(PREFIX), undefined);
});
