/** A thread that writes samples at full speed; each says by its own octets which one it is. */
import { parentPort, workerData } from "node:worker_threads";
import { createSampleWriter } from "#state/query-ring.ts";
import { type Client, createClient, TRANSPORT } from "#state/respond.ts";

/** Any length from 0 to somewhat more than a sample holds. */
export const lengthOf = (number: number): number => (Math.imul(number, 0x9e3779b1) >>> 21) >>> 0;
export const octetOf = (number: number, at: number): number => (Math.imul(number, 31) + at) & 0xff;

export function fillSample(number: number, client: Client, message: Uint8Array): number {
  const length = lengthOf(number);
  for (let at = 0; at < length; at++) message[at] = octetOf(number, at);
  client.isIpv6 = (number & 1) === 1;
  client.transport = (number & 2) === 2 ? TRANSPORT.tcp : TRANSPORT.udp;
  client.address.fill(number & 0xff);
  return length;
}

/** Ends after `count` samples, or when `stop` is set; says the number of the last one. */
export type RingWriterData = {
  readonly ring: SharedArrayBuffer;
  readonly first: number;
  readonly count: number;
  readonly stop: Int32Array;
};

if (parentPort && workerData?.ring) {
  const { ring, first, count, stop } = workerData as RingWriterData;
  const write = createSampleWriter(ring);
  const client = createClient();
  const message = new Uint8Array(2_048);
  let number = first;
  for (; number < first + count && Atomics.load(stop, 0) === 0; number++)
    write(client, message, fillSample(number, client, message), number);
  parentPort.postMessage(number - 1);
}
