/**
 * The DNS engine: UDP workers, one thread and one SO_REUSEPORT socket for each (address, index), and one TCP worker for
 * all addresses, so that the limits on connections are exact. With `engine: xdp`, `dns-xdp.ts` has workers besides, and
 * the sockets serve what it leaves to the kernel.
 *
 * Owns:    the threads, and which revision they serve. All or nothing: `apply` resolves when every worker serves the
 *          new snapshot; when one cannot, all go back to what was served before and `apply` rejects.
 * Never:   touches a packet, or sends anything to a worker per query.
 * @module
 */
import { randomBytes } from "node:crypto";
import { createDnsMember, type DnsMember } from "#app/dns-member.ts";
import type { DnsBundle, DnsWorld, XdpQueue } from "#app/dns-worker-protocol.ts";
import { createDnsXdp, type DnsXdp } from "#app/dns-xdp.ts";
import { ListenFault } from "#app/openings.ts";
import { findPortOwner } from "#app/port-owner.ts";
import { attachConfigured, chooseUdpEngine, socketsOf, type UdpEngine } from "#app/udp-engine.ts";
import type { Clock } from "#base/clock.ts";
import { RhumbError } from "#base/errors.ts";
import { createInTurn } from "#base/in-turn.ts";
import { endpointText } from "#base/ip.ts";
import type { Log } from "#base/log.ts";
import type { Rng } from "#base/rng.ts";
import type { ClientMap, RttMap } from "#state/client-map.ts";
import { createCounterSlots, DNS_COUNTERS, type DnsCounter } from "#state/counters.ts";
import type { Emit } from "#state/events.ts";
import type { Observations } from "#state/observations.ts";
import type { Generation, ListenAddress } from "#state/snapshot.ts";
import { createSpreadDoor } from "#state/spread.ts";
import type { XdpStats } from "#state/xdp.ts";

/** A worker compiles a snapshot in well under a second; one that takes this long will not finish. */
const ACK_TIMEOUT_MS = 15_000;
/** With port 0 the number that TCP was given may be taken for UDP: then another one is asked for. */
const PORT_ATTEMPTS = 8;

export type DnsEngineStats = {
  readonly generation: Generation | undefined;
  /** Undefined before the first `apply`. */
  readonly engine: UdpEngine | undefined;
  /** Undefined with other engines. */
  readonly xdp: XdpStats | undefined;
  /** Sums over all workers since the start of the process, workers that are gone included. */
  readonly counters: Readonly<Record<DnsCounter, number>>;
  readonly workers: readonly {
    readonly name: string;
    readonly kind: "udp" | "tcp";
    readonly restarts: number;
    readonly isServing: boolean;
  }[];
};

export type DnsEngine = {
  /** The door of the spread plan, which all workers read. */
  readonly spread: Int32Array;
  /** @throws RhumbError RHUMB_DNS_*; what was served before is then still served */
  apply(bundle: DnsBundle): Promise<void>;
  /** Replaces client maps and RTT table in all workers; resolves when they are in use. */
  publishMaps(maps: readonly ClientMap[], rtt: RttMap | undefined): Promise<void>;
  stats(): DnsEngineStats;
  /** Of the workers of now; the blocks of a worker that goes are read once more by whoever knows them. */
  observations(): readonly Observations[];
  /** Where it answers, with the real ports where the configuration says 0. */
  addresses(): readonly ListenAddress[];
  close(options: { drainMs: number }): Promise<void>;
};

type Site = { readonly key: string; readonly listen: ListenAddress; readonly udp: DnsMember[] };

const formatListen = ({ address, port }: ListenAddress) => endpointText(address, port);

function listenError(listen: ListenAddress, protocol: "udp" | "tcp", fault: unknown): unknown {
  if (!(fault instanceof ListenFault)) return fault;
  const where = `${formatListen(listen)} (${protocol.toUpperCase()})`;
  if (fault.code === "EADDRINUSE") {
    const owner = findPortOwner(protocol, listen.port, listen.address);
    const held = owner ? `: process ${owner.pid} (${owner.name}) holds the port` : ": another process holds the port";
    return new RhumbError("RHUMB_DNS_PORT_BUSY", where + held, { cause: fault });
  }
  if (fault.code === "EACCES") return new RhumbError("RHUMB_DNS_PORT_FORBIDDEN", where, { cause: fault });
  return new RhumbError("RHUMB_DNS_ADDRESS", `${where}: ${fault.message}`, { cause: fault });
}

export function createDnsEngine(options: {
  log: Log;
  emit: Emit;
  healthTable: Uint32Array;
  clock: Clock;
  rng: Rng;
}): DnsEngine {
  const { log, emit, clock } = options;
  const seed = randomBytes(4).readUInt32LE();
  const spread = createSpreadDoor();
  const retired = createCounterSlots(DNS_COUNTERS.length);
  let sites: Site[] = [];
  let tcp: DnsMember | undefined;
  let world: DnsWorld | undefined;
  let engine: UdpEngine | undefined;
  let xdp: DnsXdp | undefined;
  let revision = 0;
  let maps: readonly ClientMap[] = [];
  let rtt: RttMap | undefined;
  let isClosed = false;
  /** One change after the other. */
  const inTurn = createInTurn();

  const members = (): DnsMember[] => [
    ...(tcp ? [tcp] : []),
    ...sites.flatMap((site) => site.udp),
    ...(xdp?.members ?? []),
  ];

  function start(kind: "udp" | "tcp", name: string, first: DnsWorld, queue?: XdpQueue): DnsMember {
    return createDnsMember({
      name,
      kind,
      engine: queue ? "xdp" : socketsOf(engine!),
      queue,
      world: first,
      healthTable: options.healthTable,
      spread,
      seed,
      clock,
      rng: options.rng,
      onFall({ says: reason, stack }) {
        log.error({ worker: name, reason, stack }, "A DNS worker ended unexpectedly and is started again");
        emit({
          kind: "engine.worker-restarted",
          atMs: clock.nowMs(),
          severity: "warning",
          subject: name,
          says: `DNS worker ${name} ended unexpectedly and was started again: ${reason}`,
        });
      },
    });
  }

  async function stop(member: DnsMember, drainMs: number): Promise<void> {
    await member.stop(drainMs);
    for (let index = 0; index < retired.length; index++) retired[index]! += member.counters[index]!;
  }

  /** TCP first: its bind fails when another process is there, while UDP with SO_REUSEPORT would share silently. */
  async function openSite(key: string, wanted: ListenAddress, workers: number, first: DnsWorld): Promise<Site> {
    for (let attempt = 1; ; attempt++) {
      let port: number;
      try {
        port = await tcp!.open(key, wanted);
      } catch (fault) {
        throw listenError(wanted, "tcp", fault);
      }
      const site: Site = { key, listen: { address: wanted.address, port }, udp: [] };
      try {
        await growSite(site, workers, first);
        return site;
      } catch (fault) {
        await closeSite(site, 0);
        if (wanted.port !== 0 || attempt === PORT_ATTEMPTS) throw fault;
      }
    }
  }

  async function growSite(site: Site, workers: number, first: DnsWorld): Promise<void> {
    const fresh: DnsMember[] = [];
    for (let index = site.udp.length; index < workers; index++) {
      fresh.push(start("udp", `dns-udp-${formatListen(site.listen)}-${index}`, first));
    }
    try {
      await Promise.all(fresh.map((member) => member.open(site.key, site.listen)));
      site.udp.push(...fresh);
    } catch (fault) {
      await Promise.all(fresh.map((member) => member.stop(0)));
      throw listenError(site.listen, "udp", fault);
    }
  }

  async function closeSite(site: Site, drainMs: number): Promise<void> {
    await Promise.all([tcp?.closeListener(site.key, drainMs), ...site.udp.map((member) => stop(member, drainMs))]);
  }

  const acknowledged = (of: readonly DnsMember[], next: DnsWorld) =>
    Promise.all(of.map((member) => member.acknowledged(next.revision, ACK_TIMEOUT_MS)));

  async function switchTo(bundle: DnsBundle): Promise<void> {
    const previous = world;
    // Once for the life of the process: workers of two kinds would not share a client's queries evenly.
    engine ??= chooseUdpEngine(bundle.dns.engine);
    const next: DnsWorld = { revision: ++revision, bundle, maps, rtt };
    const { dns } = bundle;
    const isFresh = xdp === undefined && engine.name === "xdp";
    const attachment = isFresh ? attachConfigured(dns) : undefined;
    if (attachment) {
      xdp = createDnsXdp({ attachment, world: next, start: (name, queue, first) => start("udp", name, first, queue) });
    }
    tcp ??= start("tcp", "dns-tcp", next);
    const wanted = new Map(bundle.dns.listen.map((listen) => [formatListen(listen), listen]));
    const opened: Site[] = [];
    const grown: { site: Site; from: number }[] = [];
    try {
      for (const member of previous ? members() : []) member.serve(next);
      await acknowledged(members(), next);
      for (const [key, listen] of wanted) {
        const site = sites.find((each) => each.key === key);
        if (!site) opened.push(await openSite(key, listen, bundle.dns.workers, next));
        else if (site.udp.length < bundle.dns.workers) {
          grown.push({ site, from: site.udp.length });
          await growSite(site, bundle.dns.workers, next);
        }
      }
      await acknowledged(
        opened.flatMap((site) => site.udp),
        next,
      );
      await acknowledged(
        grown.flatMap(({ site, from }) => site.udp.slice(from)),
        next,
      );
      if (isFresh) await xdp!.open();
    } catch (fault) {
      await Promise.all(opened.map((site) => closeSite(site, 0)));
      for (const { site, from } of grown) await Promise.all(site.udp.splice(from).map((member) => stop(member, 0)));
      await goBack(previous);
      throw fault instanceof RhumbError ? fault : workerError(fault);
    }
    world = next;
    const unwanted = sites.filter((site) => !wanted.has(site.key));
    const surplus = sites.flatMap((site) => (wanted.has(site.key) ? site.udp.splice(bundle.dns.workers) : []));
    sites = [...sites.filter((site) => wanted.has(site.key)), ...opened];
    xdp?.route(addresses());
    await Promise.all([
      ...unwanted.map((site) => closeSite(site, bundle.dns.tcp.drainMs)),
      ...surplus.map((member) => stop(member, 0)),
    ]);
  }

  const workerError = (fault: unknown) =>
    new RhumbError("RHUMB_DNS_WORKER", fault instanceof Error ? fault.message : String(fault), { cause: fault });

  /** Serves `previous` again, under a new revision so that acknowledgements stay ordered. */
  async function goBack(previous: DnsWorld | undefined): Promise<void> {
    if (!previous) {
      await Promise.all([tcp?.stop(0), xdp?.close((member) => member.stop(0))]);
      tcp = undefined;
      xdp = undefined;
      return;
    }
    world = { ...previous, revision: ++revision };
    for (const member of members()) member.serve(world);
    await acknowledged(members(), world);
  }

  const addresses = () => sites.map((site) => site.listen);

  return {
    spread,
    apply: (bundle) =>
      inTurn(async () => {
        if (isClosed) throw workerError(new Error("the engine is closed"));
        const isFirst = world === undefined;
        const { generation, dns, regions, services } = bundle;
        await switchTo({ generation, dns, regions, services });
        if (!isFirst) return;
        const says = `Answering DNS on ${addresses().map(formatListen).join(", ")}, UDP by ${engine!.name} (${engine!.why})`;
        log.info({ addresses: addresses().map(formatListen), workers: bundle.dns.workers, engine }, says);
        const wildcards = addresses().filter(({ address }) => address === "0.0.0.0" || address === "::");
        if (socketsOf(engine!) === "dgram" && wildcards.length > 0) {
          log.warn(
            { addresses: wildcards.map(formatListen) },
            "UDP by dgram cannot choose the address that replies leave from: on a host with several, list them under `dns.listen`",
          );
        }
        emit({ kind: "engine.started", atMs: clock.nowMs(), severity: "info", subject: "dns", says });
      }),
    publishMaps: (nextMaps, nextRtt) =>
      inTurn(async () => {
        maps = nextMaps;
        rtt = nextRtt;
        if (!world || isClosed) return;
        const previous = world;
        world = { ...world, revision: ++revision, maps, rtt };
        for (const member of members()) member.serve(world);
        try {
          await acknowledged(members(), world);
        } catch (fault) {
          maps = previous.maps;
          rtt = previous.rtt;
          await goBack(previous);
          throw workerError(fault);
        }
      }),
    stats() {
      const blocks = [retired, ...members().map((member) => member.counters)];
      const sum = (index: number) => blocks.reduce((total, block) => total + block[index]!, 0);
      return {
        generation: world?.bundle.generation,
        engine,
        xdp: xdp?.stats(),
        counters: Object.fromEntries(
          DNS_COUNTERS.map((name, index) => [name, sum(index)]),
        ) as DnsEngineStats["counters"],
        workers: members().map(({ name, kind, restarts, isServing }) => ({
          name,
          kind,
          restarts: restarts(),
          isServing: isServing(),
        })),
      };
    },
    observations: () => members().map(({ observations }) => observations),
    addresses,
    close: ({ drainMs }) =>
      inTurn(async () => {
        if (isClosed) return;
        isClosed = true;
        await xdp?.close((member) => stop(member, drainMs));
        xdp = undefined;
        const running = members();
        sites = [];
        tcp = undefined;
        await Promise.all(running.map((member) => stop(member, drainMs)));
        if (running.length === 0) return; // it never answered
        emit({
          kind: "engine.stopped",
          atMs: clock.nowMs(),
          severity: "info",
          subject: "dns",
          says: "DNS has stopped",
        });
      }),
  };
}
