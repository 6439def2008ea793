import assert from "node:assert/strict";
import test from "node:test";
import { crc32 } from "node:zlib";
import { orderByKey } from "#balance/available.ts";
import { buildRing, findPoint } from "#balance/ring-hash.ts";
import { create, equalMembers, membersOf, ranking } from "./contract.ts";

/** `hash $request_uri consistent` of nginx 1.22.1 with these servers: whom it asked for `/item/1` to `/item/60`. */
const SERVERS = ["127.0.9.1:1", "127.0.9.2:1", "127.0.9.3:2", "[::1]:1"];
const WEIGHTS = [1, 2, 5, 3];
const ASKED = "332220331312332332303211322223232320232213022033003201022313";

test("ring_hash chooses whom nginx chooses", () => {
  const members = membersOf(WEIGHTS, SERVERS);
  const algorithm = create("ring_hash", members);
  const asked = Array.from(ASKED, (_, at) => algorithm.pick(crc32(`/item/${at + 1}`), 0, [])).join("");
  assert.equal(asked, ASKED);
});

test("buildRing() gives 160 points per unit of weight, rising", () => {
  const ring = buildRing(SERVERS, WEIGHTS, orderByKey(SERVERS));
  assert.equal(ring.points.length, 160 * 11);
  assert.ok(ring.points.every((point, at) => at === 0 || point >= ring.points[at - 1]!));
  WEIGHTS.forEach((weight, index) => {
    assert.equal(ring.owners.filter((owner) => owner === index).length, 160 * weight);
  });
});

test("buildRing() scales down weights that would take too much memory, and leaves everybody a point", () => {
  const keys = Array.from({ length: 100 }, (_, index) => `h${index}:1`);
  const weights = keys.map((_, index) => (index === 0 ? 1 : 1_000));
  const ring = buildRing(keys, weights, orderByKey(keys));
  assert.ok(ring.points.length < 4_300_000 && ring.points.length > 4_000_000, `${ring.points.length}`);
  assert.ok(ring.owners.includes(0));
});

test("findPoint() takes the point that is equal, or the next one, round the end", () => {
  const ring = buildRing(SERVERS, WEIGHTS, orderByKey(SERVERS));
  const { points } = ring;
  const expected = (hash: number): number =>
    Math.max(
      0,
      points.findIndex((point) => point >= hash),
    );
  const hashes = [0, 1, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff, points.at(-1)!, points.at(-1)! + 1];
  for (const point of points) hashes.push(point, point + 1, point - 1);
  for (const hash of hashes) assert.equal(findPoint(ring, hash | 0), expected(hash), `${hash}`);
});

test("ring_hash goes on to the next member on the ring, so that one that is down may be removed without a move", () => {
  const members = equalMembers(10);
  const algorithm = create("ring_hash", members);
  const hashes = Array.from({ length: 2_000 }, (_, index) => crc32(`client ${index}`));
  members.effective[4] = 0;
  algorithm.refresh();
  const down = hashes.map((hash) => members.keys[algorithm.pick(hash, 0, [])]);
  const keys = members.keys.filter((_, index) => index !== 4);
  const rest = membersOf(new Array<number>(9).fill(1), keys);
  algorithm.update(rest);
  assert.deepEqual(
    hashes.map((hash) => keys[algorithm.pick(hash, 0, [])]),
    down,
  );
  assert.equal(ranking(algorithm, 5).length, 9);
});
