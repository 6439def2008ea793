/**
 * Which version of HTTP a client speaks that was not asked: HTTP/2 by prior knowledge begins with a preface (RFC 9113 §3.4)
 * that no request of HTTP/1.1 looks like.
 * @module
 */
import type { TcpConn } from "#net/driver.ts";

const PREFACE = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "latin1");

/**
 * Consumes nothing.
 * @param done called once, outside of the look: `gone` where nothing came, or too little
 */
export function chooseVersion(conn: TcpConn, timeoutMs: number, done: (version: "1.1" | "2" | "gone") => void): void {
  const tell = (version: "1.1" | "2" | "gone"): number => {
    queueMicrotask(() => done(version));
    return 0;
  };
  conn.read({ maxOctets: PREFACE.length, timeoutMs }, (octets, why) => {
    // So many octets that are no preface may be all of `maxOctets`.
    if (octets === undefined) return tell(why === "too-long" ? "1.1" : "gone");
    const length = Math.min(octets.length, PREFACE.length);
    if (PREFACE.compare(octets, 0, length, 0, length) !== 0) return tell("1.1");
    return length === PREFACE.length ? tell("2") : -1;
  });
}
