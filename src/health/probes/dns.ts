/**
 * DNS probe: one question to the target, rcode and perhaps one record judged.
 *
 * Messages are made and read by dns2; the sockets are ours, because dns2's clients do not check who answers and to what,
 * its TCP client has no time-out, and both split `address:port` at the first colon, so that IPv6 targets cannot be asked.
 * Its name decoder takes time quadratic in the message, so that messages over 4 KiB are refused unread.
 * @module
 */
import { randomInt } from "node:crypto";
import { createSocket, type Socket as UdpSocket } from "node:dgram";
import { connect, isIPv6, type Socket as TcpSocket } from "node:net";
import { Packet } from "dns2";
import { formatIp, parseIp } from "#base/ip.ts";
import {
  classOfError,
  type ErrorClass,
  type MonotonicMs,
  microsBetween,
  type ProbeResult,
  type RunningProbe,
  sayError,
} from "#health/probes/probe.ts";
import type { CheckSpec } from "#state/snapshot.ts";

type DnsCheck = Extract<CheckSpec, { kind: "dns" }>;
type DnsOpinion = Pick<ProbeResult, "ok" | "errorClass" | "status" | "says">;

const MAX_MESSAGE_OCTETS = 4_096;
const CLASS_IN = 1;

const rcodeName = (rcode: number): string =>
  Object.entries(Packet.RCODE).find(([, code]) => code === rcode)?.[0] ?? `RCODE${rcode}`;

/** @returns the type's number, or undefined; TYPE65 is how RFC 3597 §5 writes types without a name */
function typeNumber(text: string): number | undefined {
  const named = (Packet.TYPE as Record<string, number>)[text.toUpperCase()];
  if (named !== undefined) return named;
  const number = /^TYPE([0-9]{1,5})$/i.exec(text)?.[1];
  return number !== undefined && Number(number) <= 0xffff ? Number(number) : undefined;
}

const bareName = (name: string): string => name.replace(/\.$/, "").toLowerCase();

/** The resource data as a zone file would write it; undefined for types that dns2 does not take apart. */
function recordText(record: Record<string, unknown>): string | undefined {
  const { address, domain, ns, data, priority, exchange, weight, port, target } = record;
  if (typeof exchange === "string") return `${String(priority)} ${exchange}`;
  if (typeof target === "string") return [priority, weight, port, target].map(String).join(" ");
  for (const value of [address, domain, ns]) if (typeof value === "string") return value;
  if (typeof data === "string") return data;
  return Array.isArray(data) ? data.join("") : undefined;
}

const canonicalText = (text: string): string => {
  const ip = parseIp(text);
  return ip === undefined ? bareName(text) : formatIp(ip);
};

/** @returns undefined when the message is not the answer to our question (RFC 5452 §3): keep waiting */
function judge(check: DnsCheck, id: number, type: number, message: Buffer): DnsOpinion | "truncated" | undefined {
  if (message.length < 12 || message.readUInt16BE(0) !== id || (message[2]! & 0x80) === 0) return undefined;
  if (message.length > MAX_MESSAGE_OCTETS) {
    return { ok: false, errorClass: "protocol", says: `an answer of ${message.length} octets, over 4 KiB` };
  }
  let packet: Packet;
  try {
    packet = Packet.parse(message);
  } catch (error) {
    return { ok: false, errorClass: "protocol", says: `the answer is no DNS message: ${(error as Error).message}` };
  }
  const question = packet.questions[0] as { name: string; type: number } | undefined;
  // A server that refuses to look (FORMERR, REFUSED) may leave the question out.
  if (question !== undefined && (bareName(question.name) !== bareName(check.questionName) || question.type !== type)) {
    return undefined;
  }
  if ((message[2]! & 0x02) !== 0) return "truncated";
  const status: number = packet.header.rcode;
  const rcode = rcodeName(status);
  if (rcode !== check.rcode.toUpperCase()) {
    return { ok: false, errorClass: "rcode", status, says: `${rcode}, expected ${check.rcode}` };
  }
  if (check.answer !== undefined) {
    const wanted = canonicalText(check.answer);
    const found = packet.answers.map((record) => recordText(record as unknown as Record<string, unknown>));
    if (!found.some((text) => text !== undefined && canonicalText(text) === wanted)) {
      const given = found.filter((text) => text !== undefined).join(", ") || "nothing";
      return { ok: false, errorClass: "answer", status, says: `the answer holds ${given}, expected ${check.answer}` };
    }
  }
  return { ok: true, errorClass: "none", status, says: rcode };
}

export function startDnsProbe(
  address: string,
  check: DnsCheck,
  monotonicMs: MonotonicMs,
  done: (result: ProbeResult) => void,
): RunningProbe {
  const startedMs = monotonicMs();
  let connectMicros = 0;
  let sentMs = startedMs;
  let udp: UdpSocket | undefined;
  let tcp: TcpSocket | undefined;
  let isOver = false;

  const close = (): void => {
    isOver = true;
    udp?.close();
    udp = undefined;
    tcp?.destroy();
  };
  const finish = (opinion: DnsOpinion, hasAnswer: boolean): void => {
    if (isOver) return;
    close();
    const endedMs = monotonicMs();
    const answerMicros = hasAnswer ? microsBetween(sentMs, endedMs) : 0;
    const phases = { connectMicros, tlsMicros: 0, answerMicros, totalMicros: microsBetween(startedMs, endedMs) };
    done({ ...opinion, rttMicros: answerMicros, phases });
  };
  const fail = (errorClass: ErrorClass, says: string): void => finish({ ok: false, errorClass, says }, false);
  const failed = (error: NodeJS.ErrnoException): void => fail(classOfError(error, "protocol"), sayError(error));

  const type = typeNumber(check.questionType);
  const id = randomInt(0x1_0000);
  const query = (): Buffer => {
    const packet = new Packet();
    Object.assign(packet.header, { id, rd: 1 });
    packet.questions.push({ name: bareName(check.questionName), type, class: CLASS_IN } as never);
    return packet.toBuffer() as Buffer;
  };

  const askTcp = (octets: Buffer): void => {
    const framed = Buffer.alloc(octets.length + 2);
    framed.writeUInt16BE(octets.length); // RFC 1035 §4.2.2
    octets.copy(framed, 2);
    let received = Buffer.alloc(0);
    const openedMs = monotonicMs();
    tcp = connect({ host: address, port: check.port });
    tcp.on("error", failed);
    tcp.on("connect", () => {
      sentMs = monotonicMs();
      connectMicros = microsBetween(openedMs, sentMs);
      tcp?.write(framed);
    });
    tcp.on("data", (chunk: Buffer) => {
      if (isOver) return;
      received = Buffer.concat([received, chunk]);
      const length = received.length < 2 ? -1 : received.readUInt16BE(0);
      if (length > MAX_MESSAGE_OCTETS) return fail("protocol", `an answer of ${length} octets, over 4 KiB`);
      if (length < 0 || received.length < length + 2) return;
      const opinion = judge(check, id, type!, received.subarray(2, length + 2));
      if (opinion === "truncated") return fail("protocol", "truncated over TCP");
      if (opinion === undefined) return fail("protocol", "the answer is to another question");
      finish(opinion, true);
    });
    tcp.on("end", () => fail("reset", "closed by the target without an answer"));
  };

  const askUdp = (octets: Buffer): void => {
    const socket = createSocket(isIPv6(address) ? "udp6" : "udp4");
    udp = socket;
    socket.on("error", failed);
    socket.on("message", (message) => {
      if (isOver) return;
      const opinion = judge(check, id, type!, message);
      if (opinion === undefined) return;
      if (opinion !== "truncated") return finish(opinion, true);
      udp = undefined;
      socket.close();
      askTcp(octets);
    });
    // A connected socket takes datagrams of this peer only, and hears of ICMP errors.
    socket.connect(check.port, address, () => {
      if (isOver) return;
      sentMs = monotonicMs();
      socket.send(octets, (error) => {
        if (error) failed(error);
      });
    });
  };

  try {
    if (type === undefined) throw new Error(`no such record type: ${check.questionType}`);
    if (check.overTcp) askTcp(query());
    else askUdp(query());
  } catch (error) {
    fail("self", (error as Error).message);
  }
  return {
    expire: () =>
      fail("timeout", tcp !== undefined && connectMicros === 0 ? "no connection in time" : "no answer in time"),
    cancel: close,
  };
}
