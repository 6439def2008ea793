/**
 * Requests of our own to a pool: forward auth, mirrors, what the cache fetches beside its clients.
 *
 * Owns:    each until its answer is whole, its time is over, or its backend failed. They are not tried again, and their body
 *          is kept within bounds; a longer one is a fault, unless none is wanted.
 * Units:   octets, ms.
 * @module
 */
import { hashText } from "#base/hash.ts";
import type { Subrequest, SubrequestResult } from "#l7/context.ts";
import { Attempt, type AttemptOwner } from "#l7/exchange/attempt.ts";
import { Deadline, type DeadlineOwner } from "#l7/exchange/deadlines.ts";
import { FAULT_VERDICTS } from "#l7/exchange/retry.ts";
import type { TriesWorld } from "#l7/exchange/tries.ts";
import type { ResponseHead } from "#l7/message.ts";
import type { PoolRef } from "#l7/route.ts";
import type { UpstreamFault } from "#l7/stream.ts";
import type { Arrived } from "#net/arrival.ts";
import { NO_PLACE, type PlaceRequest } from "#pool/place.ts";
import { BACKEND_COUNTER } from "#state/backend-table.ts";

type Asked = Parameters<Subrequest>[1];
type Terms = Parameters<Subrequest>[2];

const NOBODY: readonly number[] = [];
const OWN_ADDRESS = { address: "127.0.0.1", port: 0 };
/** For backends that want to know whom a connection is for, where it is for nobody. */
const OURSELVES: Pick<Arrived, "source" | "destination" | "tls"> = {
  source: OWN_ADDRESS,
  destination: OWN_ADDRESS,
  tls: undefined,
};

/** Those of one listener. */
export type Subrequests = {
  /** They wait for a place like everybody else. */
  readonly ask: Subrequest;
  /** Under way. */
  size(): number;
  /** Ends all that are under way. */
  stop(): void;
};

/** @param ended called after each */
export function createSubrequests(world: TriesWorld, ended: () => void): Subrequests {
  const underWay = new Set<OwnRequest>();
  return {
    ask: (pool, asked, terms) =>
      new Promise((resolve) => {
        const own = new OwnRequest(world, pool, asked, terms, (result) => {
          underWay.delete(own);
          resolve(result);
          ended();
        });
        underWay.add(own);
        own.start();
      }),
    size: () => underWay.size,
    stop() {
      for (const own of [...underWay]) own.stop();
    },
  };
}

class OwnRequest implements PlaceRequest, AttemptOwner, DeadlineOwner {
  readonly client: string;
  readonly key: number;
  readonly tried = NOBODY;
  readonly #world: TriesWorld;
  readonly #pool: PoolRef;
  readonly #asked: Asked;
  readonly #terms: Terms;
  readonly #resolve: (result: SubrequestResult) => void;
  readonly #deadline: Deadline = new Deadline(this);
  #attempt: Attempt | undefined;
  #leaveQueue: (() => void) | undefined;
  #head: ResponseHead | undefined;
  #pieces: Buffer[] = [];
  #octets = 0;
  #isOver = false;

  constructor(
    world: TriesWorld,
    pool: PoolRef,
    asked: Asked,
    terms: Terms,
    resolve: (result: SubrequestResult) => void,
  ) {
    this.#world = world;
    this.#pool = pool;
    this.#asked = asked;
    this.#terms = terms;
    this.#resolve = resolve;
    this.client = terms.arrived?.source.address ?? asked.authority;
    this.key = hashText(this.client);
  }

  start(): void {
    const { clock, deadlines } = this.#world;
    const nowMs = clock.monotonicMs();
    deadlines.arm(this.#deadline, nowMs + this.#terms.timeoutMs);
    const { places } = this.#pool;
    const row = places.take(this, nowMs);
    if (row !== NO_PLACE.full) this.#open(row, nowMs);
    else {
      this.#leaveQueue = places.wait(this, nowMs, (later) => {
        this.#leaveQueue = undefined;
        this.#open(later, clock.monotonicMs());
      });
    }
  }
  #open(row: number, nowMs: number): void {
    if (row < 0) return void this.#end({ fault: "No backend is free" });
    const { places, spec } = this.#pool;
    const { method, target, authority, scheme, fields, body } = this.#asked;
    const attempt = new Attempt(this, this.#world, places, row, nowMs);
    this.#attempt = attempt;
    attempt.count(BACKEND_COUNTER.requests, 1);
    const outbound = {
      version: "1.1",
      method,
      target,
      scheme,
      authority: spec.upstream.host ?? authority,
      fields,
      bodyOctets: body?.length ?? 0,
      expectsContinue: false,
      upgrade: undefined,
      takesTrailers: false,
    } as const;
    const stream = this.#world.upstreams(this.#pool).open(row, places.backend(row)!, outbound, attempt, {
      isFresh: false,
      connectTimeoutMs: spec.connectTimeoutMs,
      arrived: this.#terms.arrived ?? (OURSELVES as Arrived),
    });
    if (attempt.isOver) return;
    attempt.stream = stream;
    if (attempt.isReady) this.#send(attempt);
  }
  #send({ stream }: Attempt): void {
    const { body } = this.#asked;
    if (body === undefined || body.length === 0) return;
    stream!.sendBody(body); // it is in memory anyway: a backend that takes it slowly costs no more
    stream!.sendEnd(undefined);
  }

  onAttemptReady(attempt: Attempt): void {
    if (attempt.stream !== undefined) this.#send(attempt);
  }
  onAttemptContinue(): void {}
  onAttemptInformational(): void {}
  onAttemptHead(_attempt: Attempt, head: ResponseHead): void {
    this.#head = head;
  }
  onAttemptBody(_attempt: Attempt, octets: Buffer): void {
    const { maxBodyOctets } = this.#terms;
    if (maxBodyOctets === 0) return;
    this.#octets += octets.length;
    if (this.#octets > maxBodyOctets) this.#end({ fault: `The response is longer than ${maxBodyOctets} octets` });
    else this.#pieces.push(Buffer.from(octets));
  }
  onAttemptEnd(): void {
    const { status, fields } = this.#head!;
    this.#end({ status, fields, body: Buffer.concat(this.#pieces) });
  }
  onAttemptRoom(): void {}
  onAttemptFault(attempt: Attempt, fault: UpstreamFault): void {
    attempt.charge(FAULT_VERDICTS[fault.kind].charge);
    this.#end({ fault: fault.says });
  }
  stop(): void {
    this.#end({ fault: "The time to drain is over" });
  }
  onDeadline(): void {
    if (this.#attempt?.isReady && this.#head === undefined) this.#attempt.charge("timeout");
    this.#end({ fault: `There was no response within ${this.#terms.timeoutMs} ms` });
  }

  #end(result: SubrequestResult): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#world.deadlines.cancel(this.#deadline);
    this.#leaveQueue?.();
    this.#attempt?.drop();
    this.#resolve(result);
  }
}
