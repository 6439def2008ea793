/**
 * Worker thread of `app/zone-loader.ts`: reads zones once, says what came of it, and ends, so that what it needed in
 * memory is given back at once.
 * @module
 */
import { parentPort, workerData } from "node:worker_threads";
import { yieldCpu } from "#app/yield-cpu.ts";
import type { ZoneWorkerData } from "#app/zone-loader.ts";

const { job, isServing } = workerData as ZoneWorkerData;
if (isServing) yieldCpu();
// Loading the code is part of the work.
const { readZones } = await import("#config/read-zones.ts");
parentPort?.postMessage(readZones(job));
