/**
 * This node as it runs: its control API, its ports, what its own listeners answer.
 * @module
 */

import { askApi } from "#app/doctor/ask-api.ts";
import { askServer } from "#app/doctor/ask-servers.ts";
import { type Finding, ok, problem, warning } from "#app/doctor/finding.ts";
import {
  CAPABILITY,
  missingPrograms,
  readFileLimit,
  readFirstFreePort,
  readHasCapability,
  readIsSynchronised,
  readPort,
  readRmemMax,
} from "#app/doctor/machine-facts.ts";
import {
  judgeBuffers,
  judgeClock,
  judgeFileLimit,
  judgeKernel,
  judgePort,
  judgePrivilege,
} from "#app/doctor/machine-rules.ts";
import { judgeAnswer, type ServerAnswer } from "#app/doctor/server-rules.ts";
import { judgeXdp, readXdp } from "#app/doctor/xdp-rules.ts";
import type { ZoneFacts } from "#app/doctor/zone-facts.ts";
import { countText } from "#base/units.ts";
import type { ControlSnapshot, ListenAddress, Snapshot } from "#state/snapshot.ts";

export type NodeReport = {
  readonly findings: readonly Finding[];
  /** By the apex of the zone: what this node's listeners answered. */
  readonly answers: ReadonlyMap<string, readonly ServerAnswer[]>;
};

type Status = {
  readonly node: string;
  readonly version: string;
  readonly generation: string;
  readonly listen: readonly ListenAddress[];
  readonly balancer: { readonly listeners: readonly { readonly name: string; readonly port: number }[] } | null;
  readonly config: { readonly lastReload: { readonly isOk: boolean; readonly says: string } | null };
  readonly alarms: readonly { readonly says: string }[];
};

export async function checkNode(options: {
  snapshot: Snapshot;
  zones: readonly ZoneFacts[];
  unit: string | undefined;
}): Promise<NodeReport> {
  const { snapshot, zones, unit } = options;
  const { dns, control, health, balancer } = snapshot;
  const findings: Finding[] = [];
  const api = control ? await askStatus(control) : undefined;
  const status = typeof api === "object" ? api : undefined;

  const listen = dns?.listen.filter(({ port }) => port !== 0) ?? [];
  const isServed = ({ address, port }: ListenAddress): boolean =>
    status?.listen.some((one) => one.address === address && one.port === port) === true;
  const relayed = (balancer?.listeners ?? []).filter(
    ({ listen: { port }, pool }) => port !== 0 && (pool === undefined || balancer!.pools[pool]!.mode === "proxy"),
  );
  const ports = await Promise.all([
    ...listen.flatMap((one) =>
      (["udp", "tcp"] as const).map((protocol) => readPort(protocol, one, "dns.listen", isServed(one))),
    ),
    ...relayed.map(({ name, protocol, listen: one }) => {
      const isOpen = status?.balancer?.listeners.some((other) => other.name === name && other.port === one.port);
      return readPort(protocol === "udp" ? "udp" : "tcp", one, `balancer.listeners.${name}`, isOpen === true);
    }),
  ]);
  const isServing = ports.some((port) => port.isServed || port.owner?.isRhumb === true);
  findings.push(...ports.map(judgePort));
  const privileges = {
    ports: ports.map(({ port }) => port),
    firstFreePort: readFirstFreePort(),
    hasCapability: readHasCapability(CAPABILITY.netBindService),
    isRoot: process.geteuid?.() === 0,
    isServing,
    unit,
  };
  findings.push(...judgePrivilege(privileges));
  findings.push(judgeClock(await readIsSynchronised()));
  const probedAddresses = health.targets.filter((target) => target.kind === "address" && target.check).length;
  const pid = ports.find(({ owner }) => owner?.isRhumb)?.owner?.pid;
  const tcpConnections = dns?.tcp.maxConnections ?? 0;
  const relayedConnections = relayed.reduce((sum, { limits }) => sum + limits.maxConnections, 0);
  const files = { tcpConnections, relayed: relayedConnections, probedAddresses };
  findings.push(judgeFileLimit({ ...readFileLimit(pid, unit), ...files }));
  const kernel = (balancer?.pools ?? []).filter(({ mode }) => mode !== "proxy").map(({ name }) => name);
  const hasCapability = readHasCapability(CAPABILITY.netAdmin);
  findings.push(...judgeKernel({ pools: kernel, missing: missingPrograms(["nft", "conntrack"]), hasCapability, unit }));
  if (dns) findings.push(...judgeBuffers(readRmemMax()));
  if (dns?.interface !== undefined) findings.push(...judgeXdp(readXdp(dns.interface, unit)));

  const isRunning = status !== undefined || isServing;
  if (!isRunning) {
    findings.push(
      problem(
        "node",
        `rhumb does not run here${typeof api === "string" ? `: its control API says ${api}` : ""}`,
        "Start it: `systemctl start rhumb`; `journalctl -u rhumb` says why it ended",
      ),
    );
    return { findings, answers: new Map() };
  }
  if (status) findings.push(...judgeStatus(status, snapshot.node));
  else if (typeof api === "string")
    findings.push(
      warning(
        "node",
        `rhumb runs, but its control API says ${api}`,
        "Compare `control.listen` with what runs; restart it",
      ),
    );
  const answers = new Map<string, readonly ServerAnswer[]>();
  for (const zone of zones) {
    const asked = listen.map(({ address, port }) => ({ name: "this node", address: reachable(address), port }));
    answers.set(zone.name, await Promise.all(asked.map((server) => askServer(server, zone.apex))));
  }
  findings.push(...judgeListeners(answers));
  return { findings, answers };
}

/** A wildcard is asked by loopback. */
const reachable = (address: string): string =>
  address === "0.0.0.0" ? "127.0.0.1" : address === "::" ? "::1" : address;

/** One line for all that is well: a node may have hundreds of zones. */
function judgeListeners(answers: ReadonlyMap<string, readonly ServerAnswer[]>): Finding[] {
  const findings = [...answers].flatMap(([zone, servers]) =>
    servers.map((server) => judgeAnswer("answers", zone, server)),
  );
  const bad = findings.filter(({ state }) => state !== "ok");
  if (bad.length > 0 || findings.length < 2) return bad.length > 0 ? bad : findings;
  const listeners = findings.length / answers.size;
  return [
    ok("answers", `This node answers over UDP and TCP: ${countText(answers.size, "zone")}, addresses: ${listeners}`),
  ];
}

/** @returns why not, as text, where there is no status */
async function askStatus(control: ControlSnapshot): Promise<Status | string> {
  const { listen, tls, tokens } = control;
  const host = "socket" in listen ? "localhost" : reachable(listen.address);
  const url = `${tls && !("socket" in listen) ? "https" : "http"}://${host.includes(":") ? `[${host}]` : host}${"socket" in listen ? "" : `:${listen.port}`}`;
  const socketPath = "socket" in listen ? listen.socket : undefined;
  try {
    const { status, body } = await askApi({
      url,
      socketPath,
      token: tokens[0]?.token,
      caFile: tls?.certFile,
      isOwn: true,
      method: "GET",
      path: "/status",
    });
    return status === 200 ? (body as Status) : `HTTP ${status}`;
  } catch (error) {
    return (error as Error).message;
  }
}

function judgeStatus({ node, version, generation, config, alarms }: Status, expected: string): Finding[] {
  const findings: Finding[] = [];
  if (node !== expected)
    findings.push(
      problem(
        "node",
        `The node ${node} runs here, but the configuration is of ${expected}`,
        "Give -c the file of the one that runs",
      ),
    );
  else findings.push(ok("node", `rhumb ${version} runs as ${node}, configuration ${generation}`));
  if (config.lastReload?.isOk === false)
    findings.push(
      problem(
        "node",
        `The files on disk are not what serves: ${config.lastReload.says}`,
        "Mend what `rhumb check` says, then `rhumb config reload`",
      ),
    );
  for (const { says } of alarms)
    findings.push(warning("node", `Alarm: ${says}`, "`rhumb status` and `rhumb events` say more"));
  return findings;
}
