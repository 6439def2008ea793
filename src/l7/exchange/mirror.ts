/**
 * A copy of a request to another pool, whose answer nobody waits for.
 *
 * Owns:    the copy of the body, until it is whole; one that is too long is not sent.
 * Units:   octets.
 * @module
 */

import type { Rng } from "#base/rng.ts";
import type { Subrequest } from "#l7/context.ts";
import type { RequestBody } from "#l7/exchange/request-body.ts";
import type { PoolRef } from "#l7/route.ts";
import type { OutboundRequest } from "#l7/stream.ts";
import type { ListenerCounter } from "#state/counters.ts";
import type { MirrorSpec } from "#state/http.ts";

/** A copy takes no place for longer than this. */
const TIMEOUT_MS = 30_000;

export type Mirror = {
  take(octets: Uint8Array): void;
  /** The request is whole. */
  end(): void;
  /** The request is over. */
  cancel(): void;
};
export type MirrorHost = { readonly rng: Rng; readonly subrequest: Subrequest; count(counter: ListenerCounter): void };

/** @returns undefined: nothing more is to be done, the copy is on its way or is none */
export function createMirror(
  pool: PoolRef,
  { percent, maxBodyOctets }: MirrorSpec,
  outbound: OutboundRequest,
  body: RequestBody | undefined,
  host: MirrorHost,
): Mirror | undefined {
  if (outbound.upgrade !== undefined || outbound.bodyOctets > maxBodyOctets || host.rng() * 100 >= percent)
    return undefined;
  const { method, target, authority, scheme } = outbound;
  const fields = [...outbound.fields];

  function send(whole: Uint8Array | undefined): void {
    host.count("http_mirrored");
    const request = { method, target, authority, scheme, fields, body: whole };
    void host.subrequest(pool, request, { timeoutMs: TIMEOUT_MS, maxBodyOctets: 0 });
  }
  if (body === undefined) {
    send(undefined);
    return undefined;
  }
  let pieces: Uint8Array[] = [];
  let octets = 0;
  let isOver = false;
  const mirror: Mirror = {
    take(piece) {
      octets += piece.length;
      if (octets > maxBodyOctets) mirror.cancel();
      else if (!isOver) pieces.push(Uint8Array.from(piece));
    },
    end() {
      if (!isOver) send(Buffer.concat(pieces));
      mirror.cancel();
    },
    cancel() {
      isOver = true;
      pieces = [];
    },
  };
  if (body.octets > 0) mirror.take(body.whole());
  if (!body.isOver) return mirror;
  mirror.end();
  return undefined;
}
