/**
 * Do servers that are compared say the same? Asks one server what the load asks, without hurry.
 * @module
 */
import { createSocket } from "node:dgram";
import { closeSync, openSync, readSync } from "node:fs";
import { decodeMessage } from "#dns/wire/decode-message.ts";

const QUERIES = 500;
const TIMEOUT_MS = 200;

/** The first messages of a file for `dnsperf -B`. */
function readQueries(file: string): Buffer[] {
  const octets = Buffer.alloc(QUERIES * 128);
  const descriptor = openSync(file, "r");
  const end = readSync(descriptor, octets);
  closeSync(descriptor);
  const queries: Buffer[] = [];
  for (let at = 0; at + 2 < end && queries.length < QUERIES; ) {
    const next = at + 2 + octets.readUInt16BE(at);
    if (next <= end) queries.push(octets.subarray(at + 2, next));
    at = next;
  }
  return queries;
}

/** @returns for each query the rdata of the first answer record as hex, empty when there was none */
export async function askAll(port: number, file: string): Promise<string[]> {
  const socket = createSocket("udp4");
  socket.on("error", () => {});
  try {
    const answers: string[] = [];
    for (const query of readQueries(file)) {
      socket.send(query, port, "127.0.0.1");
      const response = await new Promise<Uint8Array>((resolve) => {
        const timer = setTimeout(() => resolve(new Uint8Array(0)), TIMEOUT_MS);
        socket.once("message", (octets) => {
          clearTimeout(timer);
          resolve(octets);
        });
      });
      const message = decodeMessage(response);
      const rdata = typeof message === "number" ? undefined : message.answer[0]?.rdata;
      answers.push(rdata ? Buffer.from(rdata).toString("hex") : "");
    }
    return answers;
  } finally {
    socket.close();
  }
}

/** Share of the answers that equal those of another server. */
export const agreementOf = (answers: readonly string[], other: readonly string[]): number =>
  answers.filter((answer, index) => answer !== "" && answer === other[index]).length / Math.max(1, answers.length);
