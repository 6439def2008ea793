/**
 * Keys of session tickets: whoever has the secret and a clock knows them, so that nodes and workers agree without talking.
 *
 * Rule:    one key set for each slot of time. OpenSSL through Node opens tickets with the current set alone: at the turn of
 *          a slot each client has one full handshake.
 * @module
 */
import { hkdfSync } from "node:crypto";

export type Tickets = { readonly secret: Uint8Array; readonly rotateMs: number };

/** A secret shorter than this is guessed sooner than a key. */
export const MIN_TICKET_SECRET_OCTETS = 32;

/** Number of the slot of time; wall clock, as nodes have to agree. */
export const ticketSlot = ({ rotateMs }: Tickets, nowMs: number): number => Math.floor(nowMs / rotateMs);

/** HKDF-SHA-256 (RFC 5869) of the secret; the slot's number is in the info. @param octets what a driver needs of them */
export const ticketKeysAt = ({ secret, rotateMs }: Tickets, slot: number, octets: number): Uint8Array =>
  new Uint8Array(hkdfSync("sha256", secret, "", `rhumb session tickets ${rotateMs} ${slot}`, octets));
