import assert from "node:assert/strict";
import test from "node:test";
import { createOpenings } from "#app/openings.ts";

test("createOpenings() tells who asked which port it is, or why there is none", async () => {
  const openings = createOpenings();
  const [web, dns] = [openings.asked("web"), openings.asked("dns")];
  assert.equal(openings.isOpen("web"), false);
  openings.opened("web", 8080);
  openings.failed("dns", "EADDRINUSE", "taken");
  assert.equal(await web, 8080);
  await assert.rejects(dns, { name: "ListenFault", code: "EADDRINUSE", message: "taken" });
  assert.deepEqual(["web", "dns"].map(openings.isOpen), [true, false]);
  openings.closed("web");
  assert.equal(openings.isOpen("web"), false);
});

test("createOpenings() counts nothing as open whose thread is gone, and says so to who waits", async () => {
  const openings = createOpenings();
  openings.opened("web", 8080);
  const waiting = openings.asked("dns");
  openings.lost("boom");
  await assert.rejects(waiting, { code: "EWORKER", message: "The worker ended: boom" });
  assert.equal(openings.isOpen("web"), false);
});

test("createOpenings() tells all who asked for the same: the thread that was asked first may be gone", async () => {
  const openings = createOpenings();
  const asked = [openings.asked("web"), openings.asked("web")];
  openings.opened("web", 8080);
  assert.deepEqual(await Promise.all(asked), [8080, 8080]);
});
