/**
 * The zone, the queries and the rhumb configuration that the DNS benchmarks serve.
 * @module
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

export const ZONE = "bench.example";
/** Static names, one A record each; queries go round all of them. */
export const NAMES = 1_000;
/** An ECS option for 198.51.100.0/24 as dnsperf takes it: option 8, family 1, source 24, scope 0 (RFC 7871 §6). */
export const ECS_OPTION = "8:00011800c63364";

const hostName = (index: number) => `host${index}`;

export function zoneText(isSteered: boolean): string {
  const lines = [
    `$ORIGIN ${ZONE}.`,
    "$TTL 300",
    "@ IN SOA ns1 hostmaster 1 3600 600 604800 300",
    "@ IN NS ns1",
    "ns1 IN A 192.0.2.53",
  ];
  for (let index = 0; index < NAMES; index++) {
    lines.push(`${hostName(index)} IN A 192.0.2.${1 + (index % 250)}`);
    if (isSteered) lines.push(`steered${index} 30 IN STEER www`);
  }
  return `${lines.join("\n")}\n`;
}

/** Writes `zone`, `static.queries` and `steered.queries` for dnsperf into `folder`. */
export function writeInput(folder: string): void {
  writeFileSync(join(folder, "zone"), zoneText(false));
  for (const [file, label] of [
    ["static.queries", "host"],
    ["steered.queries", "steered"],
  ] as const) {
    const lines = Array.from({ length: NAMES }, (_, index) => `${label}${index}.${ZONE} A\n`);
    writeFileSync(join(folder, file), lines.join(""));
  }
}

/** A rhumb configuration in `folder`: the same zone, and steered names beside it. @returns the path of rhumb.yaml */
export function writeRhumbConfig(folder: string, port: number, rrl: { rate: number }): string {
  mkdirSync(join(folder, "zones"), { recursive: true });
  mkdirSync(join(folder, "health"), { recursive: true });
  writeFileSync(join(folder, "zones", `${ZONE}.zone`), zoneText(true));
  writeFileSync(
    join(folder, "zones", "services.yaml"),
    "www:\n  regions: [us-east, eu-west, ap-south]\n  steer: geo\n  ttl: { min: 5s, max: 30s }\n",
  );
  writeFileSync(
    join(folder, "regions.yaml"),
    [
      "us-east: { at: [39.04, -77.49], continent: NA, country: US, v4: [198.18.11.1] }",
      "eu-west: { at: [53.35, -6.26], continent: EU, country: IE, v4: [198.18.12.1] }",
      "ap-south: { at: [19.07, 72.88], continent: AS, country: IN, v4: [198.18.13.1] }",
      "",
    ].join("\n"),
  );
  writeFileSync(
    join(folder, "overrides.yaml"),
    [
      "- { network: 198.51.100.0/24, as: { continent: EU, country: DE, at: [50.1, 8.7] } }",
      "- { network: 203.0.113.0/24, as: { continent: AS, country: JP, at: [35.7, 139.7] } }",
      "",
    ].join("\n"),
  );
  const file = join(folder, "rhumb.yaml");
  writeFileSync(
    file,
    [
      "version: 1",
      "node: bench",
      `dns: { listen: "127.0.0.1:${port}", engine: dgram, workers: 1, rrl: { enabled: true, rate: ${rrl.rate} } }`,
      "zones: zones/",
      "geo: { regions: regions.yaml, overrides: overrides.yaml }",
      "health: { checks: health/ }",
      "",
    ].join("\n"),
  );
  return file;
}
