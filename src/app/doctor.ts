/**
 * `rhumb doctor`: looks at configuration, machine, this node, its peers and the delegation; says what is wrong, and
 * what to do. Changes nothing.
 *
 * Rules live in `doctor/*-rules.ts`; what reads and asks stands beside them. Here is only the order.
 * @module
 */
import { randomBytes } from "node:crypto";
import { checkFiles } from "#app/doctor/check-files.ts";
import { checkNode } from "#app/doctor/check-node.ts";
import { checkPeer } from "#app/doctor/check-peer.ts";
import { checkZoneOutside } from "#app/doctor/check-zone.ts";
import { type Finding, formatFindings, ok, problem, warning } from "#app/doctor/finding.ts";
import { readUnit } from "#app/doctor/machine-facts.ts";
import { createLookups, parseResolver } from "#app/doctor/resolver.ts";
import { readZones } from "#app/doctor/zone-facts.ts";
import { say, sayJson } from "#cli/output.ts";
import { readVersion } from "#cli/version.ts";
import { isLoopback } from "#config/address.ts";
import { summaryText } from "#config/check-config.ts";
import { compile, createCompileContext } from "#config/compile.ts";
import { loadConfig } from "#config/load.ts";
import type { Snapshot } from "#state/snapshot.ts";

export type DoctorOptions = {
  readonly config: string;
  readonly json: boolean;
  /** Recursive resolver, `ADDRESS[:PORT]`; undefined: the system's. */
  readonly resolver?: string | undefined;
};

/** Zones that are asked about at a time: a polite doctor does not trip rate limits. */
const ZONES_AT_A_TIME = 8;
/** Of a node with many zones, peers probe these. */
const ZONES_OF_PEERS = 3;
const DEFAULT_SLOT_SECONDS = 30;

/** @returns the exit code: 1 when something is a problem */
export async function doctor({ config, json, resolver }: DoctorOptions): Promise<number> {
  const lookups = createLookups(resolver === undefined ? undefined : parseResolver(resolver));
  const findings: Finding[] = [];
  const snapshot = await examine(config, findings, lookups);
  const isOk = findings.every(({ state }) => state !== "problem");
  if (json) sayJson({ node: snapshot?.node ?? null, isOk, findings });
  else say(formatFindings(findings));
  return isOk ? 0 : 1;
}

async function examine(
  config: string,
  findings: Finding[],
  lookups: ReturnType<typeof createLookups>,
): Promise<Snapshot | undefined> {
  const nowMs = Date.now();
  const files = loadConfig(config);
  const context = createCompileContext(randomBytes, 1);
  const compiled = compile(files, { ...context, generation: { epoch: 0, sequence: 0 }, nowMs });
  const problems = "problems" in compiled ? compiled.problems : compiled.warnings;
  for (const { file, line, column, path, severity, says, fix } of problems) {
    const text = `${file}:${line}:${column}${path === "" ? "" : ` ${path}`}: ${says}`;
    findings.push(severity === "error" ? problem("config", text, fix) : warning("config", text, fix));
  }
  if ("problems" in compiled) {
    findings.push(warning("config", "Nothing else was looked at", "Mend the configuration first: `rhumb check`"));
    return undefined;
  }
  const { snapshot, stateFolder, summary } = compiled;
  findings.push(ok("config", `${config} is valid: ${summaryText(summary)}`));
  const unit = readUnit();
  findings.push(...checkFiles({ snapshot, files, stateFolder, unit, nowMs }));
  if (!snapshot.dns && !snapshot.balancer) return snapshot;
  const zones = readZones(files);
  const node = await checkNode({ snapshot, zones: snapshot.dns ? zones.zones : [], unit });
  findings.push(...node.findings);
  if (!snapshot.dns) return snapshot;

  const { listen } = snapshot.dns;
  if (listen.every(({ address }) => isLoopback(address))) {
    findings.push(
      warning(
        "delegation",
        "DNS is served on loopback only: nobody else can ask, so delegation and peers were not looked at",
        "Write this machine's public addresses into `dns.listen`; docs/going-live.md leads there",
      ),
    );
    return snapshot;
  }
  const reports = [];
  for (let at = 0; at < zones.zones.length; at += ZONES_AT_A_TIME) {
    const some = zones.zones.slice(at, at + ZONES_AT_A_TIME);
    reports.push(
      ...(await Promise.all(
        some.map(async (zone) => ({
          zone: zone.name,
          ...(await checkZoneOutside(zone, zones, lookups, node.answers.get(zone.name) ?? [])),
        })),
      )),
    );
  }
  findings.push(...reports.flatMap((report) => report.findings));

  const peers = snapshot.control?.peers ?? [];
  if (peers.length === 0)
    findings.push(
      warning(
        "peers",
        "No peer is configured: nobody was asked whether this node can be reached from outside",
        "Name the other node's control API and a token of it under `control.peers`",
      ),
    );
  const probes = reports
    .slice(0, ZONES_OF_PEERS)
    .flatMap(({ zone, servers }) => servers.map((server) => ({ zone, server })));
  const slotSeconds = Math.min(DEFAULT_SLOT_SECONDS, ...snapshot.services.map(({ ttlMaxSeconds }) => ttlMaxSeconds));
  const task = { node: snapshot.node, version: readVersion(), slotSeconds, probes };
  findings.push(...(await Promise.all(peers.map((peer) => checkPeer({ ...task, peer })))).flat());
  return snapshot;
}
