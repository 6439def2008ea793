import assert from "node:assert/strict";
import test from "node:test";
import { createSupervisedWorker, type ServeFailed, type WorkerEnd } from "#app/supervised-worker.ts";
import { createManualClock } from "#base/clock.ts";

type Said = { readonly type: "said"; readonly what: string } | ServeFailed;
type Order = "throw" | "exit" | "refuse" | "serve";

/** A thread that does what it is told; it says who it is when it starts. */
const BODY = new URL(
  `data:text/javascript,${encodeURIComponent(`
    import { parentPort, workerData } from "node:worker_threads";
    parentPort.on("message", (order) => {
      if (order === "throw") throw new TypeError("boom");
      if (order === "exit") process.exit();
      if (order === "refuse") parentPort.postMessage({ type: "serve-failed", revision: 7, says: "no" });
      if (order === "serve") {
        Atomics.store(workerData.ack, 0, 7);
        Atomics.notify(workerData.ack, 0);
      }
    });
    parentPort.postMessage({ type: "said", what: "started " + workerData.number });
  `)}`,
);

function createWorld() {
  const clock = createManualClock();
  const heard: string[] = [];
  let wake = Promise.withResolvers<void>();
  const note = (what: string): void => {
    heard.push(what);
    wake.resolve();
  };
  let number = 0;
  const worker = createSupervisedWorker<Said, Order>({
    name: "worker",
    file: BODY,
    workerData: (ack) => ({ ack, number: ++number }),
    hear: ({ what }) => note(what),
    onEnd: ({ says }: WorkerEnd) => note(`ended: ${says}`),
    onFall: ({ says, stack }) => note(`fell: ${says}${stack?.startsWith("TypeError: boom\n") ? " (stack)" : ""}`),
    onRestart: () => note("again"),
    clock,
    rng: () => 0.5,
  });
  return {
    clock,
    worker,
    /** The next things that are heard must be these. */
    async hears(...wanted: readonly string[]): Promise<void> {
      while (heard.length < wanted.length) {
        await wake.promise;
        wake = Promise.withResolvers<void>();
      }
      assert.deepEqual(heard.splice(0), wanted);
    },
  };
}

test("createSupervisedWorker() starts a thread again at once, and one that keeps falling over later each time", async () => {
  const { clock, worker, hears } = createWorld();
  await hears("started 1");
  worker.say("throw");
  await hears("ended: boom", "fell: boom (stack)", "again", "started 2");
  worker.giveUp("it cannot be had");
  await hears("ended: it cannot be had", "fell: it cannot be had");
  assert.equal(worker.isRunning(), false);
  clock.advance(49);
  await hears();
  clock.advance(1);
  await hears("again", "started 3");
  worker.say("exit");
  await hears("ended: The thread ended", "fell: The thread ended");
  clock.advance(99);
  await hears();
  clock.advance(1);
  await hears("again", "started 4");
  clock.advance(10_000); // it was well
  worker.say("exit");
  await hears("ended: The thread ended", "fell: The thread ended", "again", "started 5");
  assert.equal(worker.restarts(), 4);
  await worker.stop("exit");
  await hears("ended: The thread ended");
  clock.advance(60_000);
  assert.equal(worker.isRunning(), false);
});

test("createSupervisedWorker() does not start again what was stopped while it waited", async () => {
  const { clock, worker, hears } = createWorld();
  await hears("started 1");
  worker.say("exit");
  await hears("ended: The thread ended", "fell: The thread ended", "again", "started 2");
  worker.say("exit");
  await hears("ended: The thread ended", "fell: The thread ended");
  await worker.stop("exit");
  clock.advance(60_000);
  assert.equal(worker.isRunning(), false);
  await hears();
});

test("createSupervisedWorker() tells who waits what the thread says of a revision, of this thread and not of the last", async () => {
  const { worker, hears } = createWorld();
  await hears("started 1");
  worker.say("serve");
  await worker.acknowledged(7, 5_000);
  worker.say("exit");
  await hears("ended: The thread ended", "fell: The thread ended", "again", "started 2");
  const refused = assert.rejects(worker.acknowledged(7, 5_000), { message: "worker: no" });
  worker.say("refuse");
  await refused;
  await worker.stop("exit");
});
