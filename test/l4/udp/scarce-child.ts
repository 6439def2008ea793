/** A listener and a backend in a process that may open few files; see scarce.test.ts. Prints its port, then its counters. */
import { createBed, openBackend } from "./bed.ts";

const bed = await createBed([await openBackend("a")]);
console.log(bed.port);
process.stdin.once("data", () => {
  console.log(JSON.stringify({ evicted: bed.counter("sessions_evicted"), active: bed.counter("active") }));
  process.stdin.destroy();
  void bed.close();
});
