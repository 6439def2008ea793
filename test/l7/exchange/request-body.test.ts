/** A request's body between its client and the backends that are tried. */
import assert from "node:assert/strict";
import test from "node:test";
import { RequestBody } from "#l7/exchange/request-body.ts";
import { FakeClient, FakeUpstream, requestHead } from "./fakes.ts";

const upstream = (): FakeUpstream => {
  const made = new FakeUpstream(requestHead({ method: "PUT", bodyOctets: -1 }), undefined as never);
  made.state = "sent";
  return made;
};
const octets = (count: number): Buffer => Buffer.alloc(count, "x");

test("what was kept goes to the next backend, its end too", () => {
  const body = new RequestBody(new FakeClient());
  body.keep(1_000);
  const [first, second] = [upstream(), upstream()];
  body.take(octets(300));
  body.attach(first);
  body.take(octets(300));
  body.detach();
  body.take(octets(300));
  body.end(undefined);
  assert.ok(body.isReplayable);
  body.attach(second);
  assert.deepEqual([first.octets, second.octets], [600, 900]);
  assert.deepEqual([first.isRequestOver, second.isRequestOver], [false, true]);
});

test("more than is to be kept is sent once, and let go of", () => {
  const body = new RequestBody(new FakeClient());
  body.keep(500);
  const first = upstream();
  body.attach(first);
  body.take(octets(500));
  assert.ok(body.isReplayable);
  body.take(octets(1));
  assert.ok(!body.isReplayable);
  assert.equal(body.whole().length, 0);
  assert.equal(first.octets, 501);
});

test("the client is stopped while nobody takes its body, or the backend does not, and goes on after it", () => {
  const client = new FakeClient();
  const body = new RequestBody(client);
  body.take(octets(65_535));
  assert.ok(!client.isPaused);
  body.take(octets(1));
  assert.ok(client.isPaused);
  const backend = upstream();
  body.attach(backend);
  assert.ok(!client.isPaused);
  backend.isFull = true;
  body.take(octets(1));
  assert.ok(client.isPaused && body.isPaused);
  body.room();
  assert.ok(!client.isPaused);
});

test("the octets of a view that is used again are kept as they were", () => {
  const body = new RequestBody(new FakeClient());
  const view = octets(10);
  body.take(view);
  view.fill("y");
  assert.equal(body.whole().toString(), "x".repeat(10));
});
