/**
 * gRPC probe: grpc.health.v1.Health/Check over HTTP/2 without TLS (gRPC Health Checking Protocol).
 *
 * Both messages are one field long, so they are coded by hand: HealthCheckRequest { string service = 1 } and
 * HealthCheckResponse { enum status = 1 }, behind the five octets of gRPC's framing (flags, length).
 * @module
 */
import { type ClientHttp2Session, connect, constants } from "node:http2";
import { endpointText } from "#base/ip.ts";
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

type GrpcCheck = Extract<CheckSpec, { kind: "grpc" }>;

const STATUS = ["UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN"] as const;
const GRPC_NOT_FOUND = "5";
const GRPC_UNIMPLEMENTED = "12";
const MAX_RESPONSE_OCTETS = 1_024;
const FRAME_HEAD_OCTETS = 5;

/** Base-128 varint, little end first (Protocol Buffers encoding). */
function varint(value: number): number[] {
  const octets: number[] = [];
  for (; value > 0x7f; value >>>= 7) octets.push((value & 0x7f) | 0x80);
  octets.push(value);
  return octets;
}

export function encodeHealthRequest(service: string): Buffer {
  const name = Buffer.from(service, "utf8");
  const message =
    name.length === 0 ? Buffer.alloc(0) : Buffer.concat([Buffer.from([0x0a, ...varint(name.length)]), name]);
  const head = Buffer.alloc(FRAME_HEAD_OCTETS);
  head.writeUInt32BE(message.length, 1);
  return Buffer.concat([head, message]);
}

/** @returns the status's number (0 when the field is absent, as proto3 has it), or undefined for garbage */
export function decodeHealthResponse(octets: Buffer): number | undefined {
  if (octets.length < FRAME_HEAD_OCTETS || octets[0] !== 0) return undefined;
  const end = FRAME_HEAD_OCTETS + octets.readUInt32BE(1);
  if (octets.length < end) return undefined;
  let at = FRAME_HEAD_OCTETS;
  const readVarint = (): number | undefined => {
    let value = 0;
    for (let shift = 0; shift < 35 && at < end; shift += 7) {
      const octet = octets[at++]!;
      value += (octet & 0x7f) * 2 ** shift;
      if (octet < 0x80) return value;
    }
    return undefined;
  };
  let status = 0;
  while (at < end) {
    const tag = readVarint();
    const value = readVarint();
    if (tag === undefined || value === undefined) return undefined;
    if (tag === 0x08) status = value;
    else if ((tag & 7) === 2)
      at += value; // an unknown field with a length: stepped over
    else if ((tag & 7) !== 0) return undefined;
  }
  return status;
}

export function startGrpcProbe(
  address: string,
  check: GrpcCheck,
  monotonicMs: MonotonicMs,
  done: (result: ProbeResult) => void,
): RunningProbe {
  const startedMs = monotonicMs();
  let connectedMs = 0;
  let answeredMs = 0;
  let isOver = false;
  let session: ClientHttp2Session | undefined;

  const finish = (ok: boolean, errorClass: ErrorClass, says: string): void => {
    if (isOver) return;
    isOver = true;
    session?.destroy();
    const endedMs = monotonicMs();
    const answerMicros = answeredMs === 0 ? 0 : microsBetween(connectedMs, answeredMs);
    const phases = {
      connectMicros: connectedMs === 0 ? 0 : microsBetween(startedMs, connectedMs),
      tlsMicros: 0,
      answerMicros,
      totalMicros: microsBetween(startedMs, endedMs),
    };
    done({ ok, rttMicros: answerMicros, phases, errorClass, says });
  };
  const fail = (errorClass: ErrorClass, says: string): void => finish(false, errorClass, says);
  const failed = (error: NodeJS.ErrnoException): void => {
    // A stream that dies with its connection says so as "cancelled" and names the reason as its cause.
    const reason = (error.cause ?? error) as NodeJS.ErrnoException;
    fail(classOfError(reason, "protocol"), sayError(reason));
  };

  const judge = (httpStatus: number, grpcStatus: string | undefined, grpcMessage: string, body: Buffer) => {
    if (httpStatus !== 200) return fail("status", `HTTP status ${httpStatus}, expected 200`);
    if (grpcStatus === GRPC_NOT_FOUND) return fail("not-serving", `unknown service ${JSON.stringify(check.service)}`);
    if (grpcStatus === GRPC_UNIMPLEMENTED) return fail("protocol", "the target has no grpc.health.v1.Health");
    if (grpcStatus !== "0") return fail("protocol", `gRPC status ${grpcStatus ?? "missing"} ${grpcMessage}`.trimEnd());
    const status = decodeHealthResponse(body);
    if (status === undefined) return fail("protocol", "the answer is no HealthCheckResponse");
    const name = STATUS[status] ?? `status ${status}`;
    if (name === "SERVING") finish(true, "none", name);
    else fail("not-serving", name);
  };

  const authority = endpointText(address, check.port);
  try {
    session = connect(`http://${authority}`);
    session.on("error", failed);
    session.on("close", () => fail("reset", "closed by the target"));
    session.on("goaway", () => fail("reset", "the target said GOAWAY"));
    session.on("connect", () => {
      connectedMs = monotonicMs();
    });
    const stream = session.request({
      [constants.HTTP2_HEADER_METHOD]: "POST",
      [constants.HTTP2_HEADER_PATH]: "/grpc.health.v1.Health/Check",
      [constants.HTTP2_HEADER_AUTHORITY]: check.authority ?? authority,
      "content-type": "application/grpc",
      te: "trailers",
      "user-agent": "rhumb-health",
    });
    let httpStatus = 0;
    let grpcStatus: string | undefined;
    let grpcMessage = "";
    let body = Buffer.alloc(0);
    const takeStatus = (headers: Readonly<Record<string, unknown>>): void => {
      if (headers["grpc-status"] !== undefined) grpcStatus = String(headers["grpc-status"]);
      if (headers["grpc-message"] !== undefined) grpcMessage = String(headers["grpc-message"]).slice(0, 200);
    };
    stream.on("error", failed);
    stream.on("response", (headers) => {
      answeredMs = monotonicMs();
      httpStatus = headers[":status"] ?? 0;
      takeStatus(headers); // an answer without a message has its trailers in front
    });
    stream.on("trailers", takeStatus);
    stream.on("data", (chunk: Buffer) => {
      body = Buffer.concat([body, chunk]);
      if (body.length > MAX_RESPONSE_OCTETS) fail("protocol", "the answer exceeds 1 KiB");
    });
    stream.on("end", () => judge(httpStatus, grpcStatus, grpcMessage, body));
    stream.end(encodeHealthRequest(check.service));
  } catch (error) {
    fail("self", (error as Error).message);
  }

  return {
    expire: () => fail("timeout", connectedMs === 0 ? "no connection in time" : "connected, but no answer in time"),
    cancel() {
      isOver = true;
      session?.destroy();
    },
  };
}
