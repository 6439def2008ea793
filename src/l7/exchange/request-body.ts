/**
 * A request's body on its way from the client to whichever backend is asked.
 *
 * Owns:    what is kept of it: all that comes before there is a backend, and as much as another try may need. The client is
 *          stopped while the backend takes nothing, and while too much is kept.
 * Units:   octets.
 * @module
 */
import type { Fields } from "#l7/message.ts";
import type { ClientStream, UpstreamStream } from "#l7/stream.ts";

/** Kept before there is a backend, where nobody asked for more. */
const WAITING_OCTETS = 65_536;

export class RequestBody {
  /** That have come. */
  octets = 0;
  /** All of it has come. */
  isOver = false;
  /** Nothing of it was sent that is not kept. */
  isReplayable = true;
  /** The backend takes nothing for now. */
  isPaused = false;
  readonly #client: ClientStream;
  #kept: Buffer[] = [];
  #keptOctets = 0;
  /** So much is kept for another try. */
  #limit = 0;
  #trailers: Fields | undefined;
  #upstream: UpstreamStream | undefined;

  constructor(client: ClientStream) {
    this.#client = client;
  }

  /** What has come, as long as it is kept. */
  whole(): Buffer {
    return this.#kept.length === 1 ? this.#kept[0]! : Buffer.concat(this.#kept);
  }
  /** @param octets that are kept for another try */
  keep(octets: number): void {
    this.#limit = octets;
  }

  take(octets: Buffer): void {
    this.octets += octets.length;
    if (this.#upstream === undefined) {
      this.#store(octets);
      if (this.#keptOctets >= Math.max(this.#limit, WAITING_OCTETS)) this.#pause();
      return;
    }
    if (this.isReplayable && this.#keptOctets + octets.length <= this.#limit) this.#store(octets);
    else this.#forget();
    if (!this.#upstream.sendBody(octets)) this.#pause();
  }
  end(trailers: Fields | undefined): void {
    this.isOver = true;
    this.#trailers = trailers;
    this.#upstream?.sendEnd(this.#trailers);
  }

  /** From now on it goes there; first what was kept. */
  attach(upstream: UpstreamStream): void {
    this.#upstream = upstream;
    let hasRoom = true;
    for (const chunk of this.#kept) hasRoom = upstream.sendBody(chunk);
    if (this.#keptOctets > this.#limit) this.#forget();
    if (this.isOver) upstream.sendEnd(this.#trailers);
    else if (hasRoom) this.room();
    else this.#pause();
  }
  /** Its backend is none any more: what comes is kept until there is another one. */
  detach(): void {
    this.#upstream = undefined;
  }
  room(): void {
    if (!this.isPaused) return;
    this.isPaused = false;
    this.#client.resumeBody();
  }

  #pause(): void {
    if (this.isPaused || this.isOver) return;
    this.isPaused = true;
    this.#client.pauseBody();
  }
  #store(octets: Buffer): void {
    this.#kept.push(Buffer.from(octets));
    this.#keptOctets += octets.length;
  }
  #forget(): void {
    this.isReplayable = false;
    this.#kept = [];
    this.#keptOctets = 0;
  }
}
