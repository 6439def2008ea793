/**
 * One new connection: connect, perhaps TLS, send, read until the reader is satisfied. TCP, TLS and HTTP probes are this
 * with different readers.
 *
 * Why our own: node:http costs about twice the CPU time per probe, follows its own ideas of keep-alive and limits, and
 * hides the phases. All plain sockets read into one shared buffer, since a reader consumes octets before it returns.
 * @module
 */
import { Socket } from "node:net";
import { connect as connectTls, type TLSSocket } from "node:tls";
import {
  classOfError,
  type ErrorClass,
  type MonotonicMs,
  microsBetween,
  type ProbeResult,
  type RunningProbe,
  sayError,
} from "#health/probes/probe.ts";
import { tlsOptions, tlsProblem } from "#health/probes/tls-options.ts";
import type { TlsCheckOptions } from "#state/snapshot.ts";

/** What a reader thinks of what it has read so far; undefined: it wants more. */
export type Opinion = Pick<ProbeResult, "ok" | "errorClass" | "status" | "says">;
const PASSED: Opinion = { ok: true, errorClass: "none", says: "ok" };

export type Reader = {
  /** Octets of the answer. `chunk` is only valid during the call. */
  read(chunk: Buffer): Opinion | undefined;
  /** The target closed its side. */
  end(): Opinion;
};

export type Exchange = {
  readonly address: string;
  readonly port: number;
  readonly tls: TlsCheckOptions | undefined;
  /** ALPN of the TLS handshake; undefined: none offered. */
  readonly alpn: string[] | undefined;
  /** Sent when connected; undefined: being connected is all. */
  readonly request: string | undefined;
  readonly reader: Reader | undefined;
  /** Today, for days left on certificates: Unix time in ms. */
  readonly nowMs: number;
};

const sharedBuffer = Buffer.allocUnsafeSlow(65_536);

export function startExchange(
  exchange: Exchange,
  nowMs: MonotonicMs,
  done: (result: ProbeResult) => void,
): RunningProbe {
  const startedMs = nowMs();
  let connectedMs = 0;
  let securedMs = 0;
  let sentMs = 0;
  let answeredMs = 0;
  let isOver = false;
  let socket: Socket | undefined;

  const close = (): void => {
    isOver = true;
    socket?.destroy();
  };
  const finish = (opinion: Opinion): void => {
    if (isOver) return;
    close();
    const endedMs = nowMs();
    const connectMicros = microsBetween(startedMs, connectedMs || endedMs);
    const answerMicros = answeredMs === 0 ? 0 : microsBetween(sentMs, answeredMs);
    done({
      ok: opinion.ok,
      rttMicros: connectedMs === 0 ? 0 : answerMicros || connectMicros,
      phases: {
        connectMicros: connectedMs === 0 ? 0 : connectMicros,
        tlsMicros: securedMs === 0 ? 0 : microsBetween(connectedMs, securedMs),
        answerMicros,
        totalMicros: microsBetween(startedMs, endedMs),
      },
      errorClass: opinion.errorClass,
      status: opinion.status,
      says: opinion.says,
    });
  };
  const fail = (errorClass: ErrorClass, says: string): void => finish({ ok: false, errorClass, says });
  const send = () => {
    if (exchange.request === undefined) return finish(PASSED);
    sentMs = nowMs();
    socket!.write(exchange.request, "latin1");
  };
  const read = (chunk: Buffer): void => {
    if (isOver || exchange.reader === undefined) return;
    if (answeredMs === 0) answeredMs = nowMs();
    const opinion = exchange.reader.read(chunk);
    if (opinion !== undefined) finish(opinion);
  };
  const isHandshaking = (): boolean => exchange.tls !== undefined && connectedMs !== 0 && securedMs === 0;
  const end = () => {
    if (isOver) return;
    if (isHandshaking()) return fail("tls", "closed by the target during the TLS handshake");
    finish(exchange.reader?.end() ?? { ok: false, errorClass: "reset", says: "closed by the target" });
  };
  const failed = (error: NodeJS.ErrnoException): void => {
    const during = isHandshaking() ? "TLS handshake failed: " : "";
    fail(classOfError(error, isHandshaking() ? "tls" : "protocol"), during + sayError(error));
  };

  const openPlain = (): Socket => {
    const callback = (octets: number): boolean => {
      read(sharedBuffer.subarray(0, octets));
      return true;
    };
    const opened = new Socket({ onread: { buffer: sharedBuffer, callback } });
    opened.on("connect", () => {
      if (isOver) return;
      connectedMs = nowMs();
      send();
    });
    return opened.connect({ host: exchange.address, port: exchange.port });
  };
  const openSecure = (tls: TlsCheckOptions): Socket => {
    const options = tlsOptions(tls, exchange.address, exchange.alpn);
    const opened: TLSSocket = connectTls({ host: exchange.address, port: exchange.port, ...options });
    opened.on("connect", () => {
      connectedMs = nowMs();
    });
    opened.on("secureConnect", () => {
      if (isOver) return;
      securedMs = nowMs();
      const problem = tlsProblem(opened, tls, exchange.nowMs);
      if (problem === undefined) send();
      else fail("certificate", problem);
    });
    opened.on("data", read);
    return opened;
  };

  try {
    socket = exchange.tls === undefined ? openPlain() : openSecure(exchange.tls);
    socket.on("error", failed);
    socket.on("end", end);
    socket.on("close", end);
  } catch (error) {
    fail("self", sayError(error as NodeJS.ErrnoException));
  }

  return {
    expire() {
      if (connectedMs === 0) fail("timeout", "no connection in time");
      else if (isHandshaking()) fail("timeout", "connected, but no TLS handshake in time");
      else fail("timeout", answeredMs === 0 ? "connected, but no answer in time" : "the answer did not end in time");
    },
    cancel: close,
  };
}
