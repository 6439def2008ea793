/** Test helper: a name server that answers from a table, which the test changes while it runs. */
import { createSocket } from "node:dgram";
import type { TestContext } from "node:test";
import { Packet } from "dns2";
import { parseIp } from "#base/ip.ts";

export type ScriptRecord =
  | { readonly address: string }
  | { readonly target: string; readonly port: number; readonly priority: number; readonly weight: number };
/** Key: `db.internal A`. `refuse`: SERVFAIL. `silent`: no answer. What is not there: NXDOMAIN, or NODATA of a known name. */
export type Script = Map<string, readonly ScriptRecord[] | "refuse" | "silent">;

const TTL_SECONDS = 5;
const TYPES: Readonly<Record<number, string>> = { 1: "A", 28: "AAAA", 33: "SRV" };
const u16 = (...values: number[]): Buffer => Buffer.from(values.flatMap((value) => [value >> 8, value & 0xff]));
const nameOctets = (name: string): Buffer =>
  Buffer.concat([...name.split(".").map((label) => Buffer.from([label.length, ...Buffer.from(label)])), Buffer.of(0)]);

/** A record whose name is that of the question (RFC 1035 §4.1.3; the pointer: §4.1.4). */
function recordOctets(type: number, record: ScriptRecord, ttlSeconds: number): Buffer {
  const rdata =
    "address" in record
      ? Buffer.from(parseIp(record.address)!)
      : Buffer.concat([u16(record.priority, record.weight, record.port), nameOctets(record.target)]);
  return Buffer.concat([u16(0xc00c, type, 1, 0, ttlSeconds, rdata.length), rdata]);
}

function replyTo(
  query: Buffer,
  rcode: number,
  type: number,
  records: readonly ScriptRecord[],
  ttlSeconds: number,
): Buffer {
  // The question ends with its type and class; what EDNS adds behind it is not repeated.
  const end = query.indexOf(0, 12) + 5;
  const header = Buffer.concat([query.subarray(0, 2), u16(0x8180 | rcode, 1, records.length, 0, 0)]);
  return Buffer.concat([
    header,
    query.subarray(12, end),
    ...records.map((record) => recordOctets(type, record, ttlSeconds)),
  ]);
}

export async function serveScript(
  t: TestContext,
  script: Script,
  ttlSeconds = TTL_SECONDS,
): Promise<{ server: string; asked: string[] }> {
  const socket = createSocket("udp4");
  const asked: string[] = [];
  socket.on("message", (message, peer) => {
    const question = Packet.parse(message).questions[0]!;
    const name = question.name.toLowerCase();
    const key = `${name} ${TYPES[question.type!]}`;
    asked.push(key);
    const found = script.get(key) ?? [];
    if (found === "silent") return;
    const isKnown = [...script.keys()].some((one) => one.startsWith(`${name} `));
    const rcode = found === "refuse" ? 2 : isKnown ? 0 : 3;
    socket.send(
      replyTo(message, rcode, question.type!, found === "refuse" ? [] : found, ttlSeconds),
      peer.port,
      peer.address,
    );
  });
  await new Promise<void>((resolve) => socket.bind(0, "127.0.0.1", resolve));
  t.after(() => socket.close());
  return { server: `127.0.0.1:${socket.address().port}`, asked };
}
