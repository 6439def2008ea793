/** A listener that ends TLS, for tests: it echoes, and keeps what was agreed on. */
import { execFile } from "node:child_process";
import type { TestContext } from "node:test";
import { type ConnectionOptions, type TLSSocket, connect as tlsConnect } from "node:tls";
import type { TcpDriver, TlsAgreement } from "#net/driver.ts";
import { createNetDriver } from "#net/node/driver.ts";
import type { TlsContexts } from "#tls/contexts.ts";
import { bindTcp } from "../net/bed.ts";

export type TlsBed = {
  readonly port: number;
  readonly agreements: TlsAgreement[];
  readonly failed: () => number;
  use(contexts: TlsContexts): void;
};

export function openTlsBed(
  t: TestContext,
  first: TlsContexts,
  alpn: readonly string[] = [],
  create: () => TcpDriver = createNetDriver,
): TlsBed {
  const driver = create();
  t.after(() => driver.close());
  const { fd, port } = bindTcp();
  let contexts = first;
  let failed = 0;
  const agreements: TlsAgreement[] = [];
  driver.listen(fd, 128, (conn) => {
    driver.startTls!(conn, { contexts, alpn, timeoutMs: 5_000 }, (agreement) => {
      if (agreement === undefined) return void failed++;
      agreements.push(agreement);
      conn.stream({
        onOctets: (octets) => conn.write(octets),
        onEnd: () => conn.close(),
        onRoom() {},
        onGone() {},
      });
    });
  });
  return {
    port,
    agreements,
    failed: () => failed,
    use(next) {
      contexts = next;
    },
  };
}

/** Resolves when an echo came back over a good handshake; rejects with what failed. */
export async function dial(t: TestContext, port: number, options: ConnectionOptions = {}): Promise<TLSSocket> {
  const socket = tlsConnect({ port, host: "127.0.0.1", servername: "one.example", ...options });
  t.after(() => socket.destroy());
  const closed = new Promise<never>((_, reject) => {
    socket.once("error", reject);
    socket.once("close", () => reject(new Error("closed")));
  });
  closed.catch(() => {});
  await Promise.race([new Promise<void>((resolve) => socket.once("secureConnect", resolve)), closed]);
  socket.write("ping");
  await Promise.race([new Promise<void>((resolve) => socket.once("data", () => resolve())), closed]);
  return socket;
}

/** The session to come back with; in TLS 1.3 it comes after the handshake. */
export function keepSession(t: TestContext, port: number, options: ConnectionOptions = {}): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const socket = tlsConnect({ port, host: "127.0.0.1", servername: "one.example", ...options });
    t.after(() => socket.destroy());
    socket.once("session", (session: Buffer) => {
      resolve(session);
      socket.end();
    });
    socket.once("error", reject);
  });
}

/** What `openssl s_client` prints of one handshake. */
export function sClient(port: number, options: readonly string[]): Promise<string> {
  return new Promise((resolve) => {
    const child = execFile("openssl", ["s_client", "-connect", `127.0.0.1:${port}`, ...options], (_error, out, said) =>
      resolve(`${out}${said}`),
    );
    child.stdin!.end();
  });
}
