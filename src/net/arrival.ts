/**
 * How a client arrives, whatever it speaks: PROXY header → access → limits → TLS handshake.
 *
 * Owns:    clients until they have arrived, and of all of them what `depart` gives back: their share of the limits, and
 *          their place among the listener's counters. Every client is counted under one outcome, once.
 * Order:   access comes before limits, so that those who may not come cannot use up the rates.
 * Refusal: by RST. It costs nothing to keep, and nobody takes it for an answer.
 * @module
 */

import { parseCidr, parseIp, unmapIp } from "#base/ip.ts";
import { createNetworkList, NO_RULE } from "#base/network-list.ts";
import type { TcpAddress, TcpConn, TcpDriver, TlsAgreement, TlsTerms } from "#net/driver.ts";
import type { ListenerContext } from "#net/listener.ts";
import { type AccessList, createAccessList } from "#pool/access-list.ts";
import { parseProxyHeader } from "#pool/proxy-protocol/codec.ts";
import { MAX_PROXY_HEADER_OCTETS } from "#pool/proxy-protocol/header.ts";
import type { ListenerSpec } from "#state/balancer.ts";
import { LISTENER_COUNTER, type ListenerCounter } from "#state/counters.ts";

/** A client that may come in. It belongs to who was told of it, until `depart`. */
export type Arrived = {
  readonly conn: TcpConn;
  /** The client: of the PROXY header where there is one, else of the socket. */
  readonly source: TcpAddress;
  /** Where it went to: as above. */
  readonly destination: TcpAddress;
  /** Undefined: plain. */
  readonly tls: TlsAgreement | undefined;
  readonly hasDeparted: boolean;
  /** Gives back what was taken for it, and counts how it ended; it does not end the conn. Later calls do nothing. */
  depart(outcome: ListenerCounter): void;
};

/** What a listener's settings mean for who arrives, made ready once per configuration. */
export type ArrivalPlan = {
  readonly spec: ListenerSpec;
  readonly isAllowed: AccessList;
  /** Whether this peer begins with a PROXY header. */
  isTrusted(address: string): boolean;
  /** Of `tls` and `https`. */
  readonly tls: TlsTerms | undefined;
};

/** @throws RhumbError RHUMB_BALANCER_CERTIFICATE */
export function createArrivalPlan(spec: ListenerSpec, context: Pick<ListenerContext, "contextsOf">): ArrivalPlan {
  return {
    spec,
    isAllowed: createAccessList(spec.access),
    isTrusted: trustOf(spec.proxyProtocol?.trusted ?? []),
    tls: endsTls(spec)
      ? { contexts: context.contextsOf(spec), alpn: alpnOf(spec), timeoutMs: spec.timeouts.handshakeMs }
      : undefined,
  };
}

const endsTls = ({ protocol }: ListenerSpec): boolean => protocol === "tls" || protocol === "https";

/** Clients of HTTP/1.0 that say so (`curl -0`) would be refused if it were not offered (RFC 7301 §3.2). */
const HTTP1 = ["http/1.1", "http/1.0"];
function alpnOf({ protocol, alpn, http }: ListenerSpec): readonly string[] {
  if (protocol === "tls") return alpn;
  return http?.http2.isEnabled ? ["h2", ...HTTP1] : HTTP1;
}

function trustOf(networks: readonly string[]): (address: string) => boolean {
  if (networks.length === 0) return () => false;
  const list = createNetworkList(networks.map(parseCidr).filter((network) => network !== undefined));
  return (text) => {
    const parsed = parseIp(text);
    if (!parsed) return false;
    const address = unmapIp(parsed);
    return list.find(address, address.length === 16) !== NO_RULE;
  };
}

export type Arrivals<Plan extends ArrivalPlan> = {
  /** Takes a connection that was accepted. */
  start(conn: TcpConn, plan: Plan): void;
  /** Ends those that have not arrived yet; counted as `stopped`. */
  stop(): void;
  /** Clients that have not arrived yet. */
  size(): number;
};

export type ArrivalsOptions<Plan extends ArrivalPlan> = {
  readonly context: ListenerContext;
  readonly driver: TcpDriver;
  /** It has arrived, and nothing of it was consumed but the PROXY header. May come from within `start`. */
  readonly arrived: (client: Arrived, plan: Plan) => void;
  /** One was refused, or stopped: there may be nothing left to wait for. */
  readonly refused: () => void;
};

export function createArrivals<Plan extends ArrivalPlan>(options: ArrivalsOptions<Plan>): Arrivals<Plan> {
  const arriving = new Set<Client<Plan>>();
  const host: Host<Plan> = { ...options, arriving };
  return {
    start(conn, plan) {
      new Client(host, plan, conn).start();
    },
    stop() {
      for (const client of [...arriving]) client.refuse("stopped");
    },
    size: () => arriving.size,
  };
}

type Host<Plan extends ArrivalPlan> = ArrivalsOptions<Plan> & { readonly arriving: Set<Client<Plan>> };

class Client<Plan extends ArrivalPlan> implements Arrived {
  readonly conn: TcpConn;
  source: TcpAddress;
  tls: TlsAgreement | undefined;
  readonly #host: Host<Plan>;
  readonly #plan: Plan;
  #destination: TcpAddress | undefined;
  #isAdmitted = false;
  #isOver = false;

  constructor(host: Host<Plan>, plan: Plan, conn: TcpConn) {
    this.#host = host;
    this.#plan = plan;
    this.conn = conn;
    this.source = conn.remote;
  }

  /** Asked of the kernel only where somebody wants to know. */
  get destination(): TcpAddress {
    return this.#destination ?? this.conn.local;
  }

  get hasDeparted(): boolean {
    return this.#isOver;
  }

  start(): void {
    this.#count("accepted");
    this.#count("active");
    if (this.#plan.isTrusted(this.source.address)) {
      this.#host.arriving.add(this);
      this.#readProxyHeader();
    } else this.#admit();
  }

  #readProxyHeader(): void {
    const { timeoutMs } = this.#plan.spec.proxyProtocol!;
    this.conn.read({ maxOctets: MAX_PROXY_HEADER_OCTETS, timeoutMs }, (octets) => {
      if (octets === undefined) return this.refuse("refused_preamble");
      const header = parseProxyHeader(octets);
      if (header.kind === "more") return -1;
      if (header.kind === "bad") return this.refuse("refused_preamble");
      if (header.source !== undefined) {
        this.source = header.source;
        this.#destination = header.destination;
      }
      // Outside of the look: what it consumes counts from its return on.
      queueMicrotask(() => {
        if (!this.#isOver) this.#admit();
      });
      return header.length;
    });
  }

  #admit(): void {
    const { context } = this.#host;
    const { spec, isAllowed, tls } = this.#plan;
    const { address } = this.source;
    if (!isAllowed(address)) return void this.refuse("refused_access");
    const admission = context.limits.admit(context.listener, spec.limits, address, context.clock.monotonicMs());
    if (admission === "listener-full" || admission === "listener-rate") return void this.refuse("refused_limit");
    if (admission !== "admitted") return void this.refuse("refused_client_limit");
    this.#isAdmitted = true;
    if (tls === undefined) this.#enter();
    else this.#shakeHands(tls);
  }

  #shakeHands(terms: TlsTerms): void {
    const { driver, arriving } = this.#host;
    if (driver.startTls === undefined) return void this.refuse("handshake_failed");
    arriving.add(this);
    driver.startTls(this.conn, terms, (agreement) => {
      if (this.#isOver) return;
      if (agreement === undefined) return void this.refuse("handshake_failed");
      this.tls = agreement;
      this.#enter();
    });
  }

  #enter(): void {
    this.#host.arriving.delete(this);
    if (this.source === this.conn.remote) this.#host.context.sampler?.arrived(this.conn);
    this.#host.arrived(this, this.#plan);
  }

  /** @returns 0, what a look returns when it has seen enough */
  refuse(outcome: ListenerCounter): number {
    if (this.#isOver) return 0;
    this.conn.reset();
    this.depart(outcome);
    this.#host.refused();
    return 0;
  }

  depart(outcome: ListenerCounter): void {
    if (this.#isOver) return;
    this.#isOver = true;
    const { context, arriving } = this.#host;
    arriving.delete(this);
    this.#count(outcome);
    context.slots[LISTENER_COUNTER.active]! -= 1;
    if (this.#isAdmitted) context.limits.release(context.listener, this.#plan.spec.limits, this.source.address);
  }

  #count(counter: ListenerCounter): void {
    this.#host.context.slots[LISTENER_COUNTER[counter]]! += 1;
  }
}
