/** Servers for probes to ask, each closed when its test ends. */
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { systemClock } from "#base/clock.ts";
import type { ProbeResult } from "#health/probes/probe.ts";
import { createProbes, probeOnce } from "#health/probes/table.ts";
import type { CheckSpec } from "#state/snapshot.ts";
import { httpCheck } from "../bed.ts";

const probes = createProbes(systemClock);
/** Long enough for a loaded machine; black holes say 100 ms. */
const PATIENT_MS = 5_000;

export const probe = (check: CheckSpec, address = "127.0.0.1"): Promise<ProbeResult> =>
  probeOnce(probes, systemClock, address, check);

/** A check of any kind with the usual base. */
export function checkOf(fields: { readonly kind: CheckSpec["kind"] } & Readonly<Record<string, unknown>>): CheckSpec {
  const { intervalMs, thresholds, downSpanMs, failback } = httpCheck();
  return { name: "test", intervalMs, timeoutMs: PATIENT_MS, thresholds, downSpanMs, failback, ...fields } as CheckSpec;
}

export const NO_VERIFY = { serverName: undefined, verify: false, minDaysLeft: 0, caFile: undefined };

/** Listens on a free port until the test ends. @returns the port */
export async function listen(t: TestContext, server: Server, host = "127.0.0.1"): Promise<number> {
  const sockets = new Set<Socket>();
  server.on("connection", (socket: Socket) => {
    sockets.add(socket);
    socket.on("error", () => {});
    socket.on("close", () => sockets.delete(socket));
  });
  await new Promise<void>((resolve) => server.listen(0, host, resolve));
  t.after(async () => {
    for (const socket of sockets) socket.destroy();
    await new Promise((resolve) => server.close(resolve));
  });
  return (server.address() as { port: number }).port;
}

/** Answers the first octets of each connection with `answer`; undefined: never (a black hole). */
export const serve = (t: TestContext, answer: string | undefined): Promise<number> =>
  listen(
    t,
    createServer((socket) => {
      socket.on("data", () => {
        if (answer !== undefined) socket.end(answer, "latin1");
      });
    }),
  );

/** A port that nobody listens on: it was free a moment ago. */
export async function closedPort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}

export function temporaryFolder(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), "rhumb-health-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/**
 * A self-signed certificate for `www.example`, made by openssl.
 *
 * @param days how long it lasts from now on; -1: it expired yesterday
 */
export function makeCertificate(t: TestContext, days: number): { key: string; cert: string; certFile: string } {
  const folder = temporaryFolder(t);
  const [keyFile, requestFile, certFile] = ["key.pem", "request.pem", "cert.pem"].map((name) => join(folder, name));
  const openssl = (...args: string[]): void => {
    execFileSync("openssl", args, { stdio: "pipe" });
  };
  const subject = ["-subj", "/CN=www.example", "-addext", "subjectAltName=DNS:www.example"];
  const curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
  openssl("req", "-new", ...curve, "-keyout", keyFile!, "-out", requestFile!, ...subject);
  const sign = ["-req", "-in", requestFile!, "-signkey", keyFile!, "-copy_extensions", "copy"];
  openssl("x509", ...sign, "-days", `${days}`, "-out", certFile!);
  return { key: readFileSync(keyFile!, "utf8"), cert: readFileSync(certFile!, "utf8"), certFile: certFile! };
}
