/**
 * What follows 101: octets both ways, until both sides have ended.
 *
 * Owns:    the pauses of both sides, and which of them has ended.
 * @module
 */
import type { Attempt } from "#l7/exchange/attempt.ts";
import type { Tries } from "#l7/exchange/tries.ts";
import type { ClientStream } from "#l7/stream.ts";
import { BACKEND_COUNTER } from "#state/backend-table.ts";

export class Tunnel {
  octetsFromClient = 0;
  octetsFromBackend = 0;
  readonly #client: ClientStream;
  readonly #backend: Attempt;
  readonly #tries: Tries;
  #hasClientEnded = false;
  #hasBackendEnded = false;

  constructor(client: ClientStream, backend: Attempt, tries: Tries) {
    backend.isTunnel = true;
    this.#client = client;
    this.#backend = backend;
    this.#tries = tries;
  }

  fromBackend(octets: Uint8Array): void {
    this.octetsFromBackend += octets.length;
    if (!this.#client.sendBody(octets)) this.#backend.stream?.pause();
  }
  fromClient(octets: Uint8Array): void {
    this.octetsFromClient += octets.length;
    this.#tries.heard();
    this.#backend.count(BACKEND_COUNTER.octets_to_backend, octets.length);
    if (this.#backend.stream?.sendBody(octets) === false) this.#client.pauseBody();
  }
  clientRoom(): void {
    this.#backend.stream?.resume();
  }
  backendRoom(): void {
    this.#client.resumeBody();
  }

  /** The client has said all. @returns whether both have */
  endClient(): boolean {
    this.#hasClientEnded = true;
    this.#backend.stream?.sendEnd(undefined);
    return this.#hasBackendEnded;
  }
  /** The backend has. The client is yet to be told. @returns whether both have */
  endBackend(): boolean {
    this.#hasBackendEnded = true;
    return this.#hasClientEnded;
  }
}
