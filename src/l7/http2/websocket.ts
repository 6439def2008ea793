/**
 * WebSockets over HTTP/2 (RFC 8441), told as if they were upgrades of HTTP/1.1 (RFC 6455): what is between both ends of an
 * exchange sees `GET` with a key and a 101 with its answer, whatever its clients and backends speak.
 * @module
 */
import { createHash, randomBytes } from "node:crypto";
import type { Fields } from "#l7/message.ts";
import { fieldOf, removeField } from "#l7/message.ts";

/** RFC 6455 §1.3. */
const GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/** Adds the key that a client of HTTP/2 does not send. */
export function addKey(fields: Fields): void {
  removeField(fields, "sec-websocket-key");
  fields.push("sec-websocket-key", randomBytes(16).toString("base64"));
}

/** @returns the answer to the key of a request; undefined: it has none */
export function acceptOf(request: readonly string[]): string | undefined {
  const key = fieldOf(request, "sec-websocket-key");
  return key === undefined
    ? undefined
    : createHash("sha1")
        .update(key + GUID)
        .digest("base64");
}
