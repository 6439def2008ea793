/**
 * Health checks of Route 53 → checks of ours (Route 53 API Reference, "HealthCheckConfig").
 * @module
 */
import { compact, type Draft } from "#config/import/draft.ts";
import { type Json, listOf, mapOf, numberOf, textOf } from "#config/import/json-lines.ts";
import { type At, type Notes, quoted } from "#config/import/notes.ts";
import { readJson } from "#config/import/route53-read.ts";
import type { Sources } from "#config/import/sources.ts";
import { createNames } from "#config/import/words.ts";

/** The API's names and those of Terraform's `aws_route53_health_check`. */
const field = (config: { readonly [key: string]: Json }, api: string, terraform: string): Json | undefined =>
  config[api] ?? config[terraform];

const within = (value: number | undefined, standard: number, min: number, max: number): number =>
  Math.min(Math.max(Math.round(value ?? standard), min), max);

function checkOf(config: { readonly [key: string]: Json }, at: At, notes: Notes): Record<string, unknown> | undefined {
  const type = (textOf(field(config, "Type", "type")) ?? "").toUpperCase();
  const match = /^(HTTP|HTTPS|TCP)(_STR_MATCH)?$/.exec(type);
  if (!match || (match[1] === "TCP" && match[2] !== undefined)) {
    notes.leftOut(
      at,
      `There is no such check as ${quoted(type)}: its state comes from elsewhere`,
      "Write a check of your own; `kind: script` can ask anybody",
    );
    return undefined;
  }
  const kind = match[1]!.toLowerCase();
  const isHttp = kind !== "tcp";
  const fqdn = textOf(field(config, "FullyQualifiedDomainName", "fqdn"))?.replace(/\.$/, "");
  const path = textOf(field(config, "ResourcePath", "resource_path")) || "/";
  const body = match[2] === undefined ? undefined : textOf(field(config, "SearchString", "search_string"));
  const interval = within(numberOf(field(config, "RequestInterval", "request_interval")), 30, 1, 3_600);
  const failures = within(numberOf(field(config, "FailureThreshold", "failure_threshold")), 3, 1, 100);
  const port = numberOf(field(config, "Port", "port"));
  if (field(config, "Inverted", "invert_healthcheck") === true)
    notes.leftOut(at, "What is healthy is not turned round", "Let the endpoint say the opposite");
  if (field(config, "Disabled", "disabled") === true)
    notes.changed(
      at,
      "The check is disabled there, and probes here",
      "Take it out of the regions, or pin them by health/overrides.yaml",
    );
  if (listOf(field(config, "Regions", "regions")).length > 0)
    notes.changed(
      at,
      "This node probes alone, until `health.vantages` name more",
      "Run nodes where you want to probe from (docs/settings.md)",
    );
  const isPath = /^\/[\x21-\x7e]*$/.test(path);
  if (isHttp && !isPath) notes.changed(at, `${quoted(path)} is no path; / is written`, "Write a path such as /health");
  if (kind === "https" && field(config, "EnableSNI", "enable_sni") === false && fqdn !== undefined)
    notes.changed(at, "The name is sent by SNI", "Nothing to do, unless the endpoint minds");
  return compact({
    kind,
    port: within(port, kind === "https" ? 443 : 80, 1, 65_535),
    path: isHttp ? (isPath ? path : "/") : undefined,
    host: isHttp && fqdn && /^[\x21-\x7e]+$/.test(fqdn) ? fqdn : undefined,
    // Statuses 2xx and 3xx are healthy; certificates are not looked at ("How Route 53 determines whether a health check is
    // healthy").
    expect: isHttp
      ? compact({ status: ["200-399"], body: body === undefined || body === "" ? undefined : body.slice(0, 1_024) })
      : undefined,
    verify: kind === "https" ? false : undefined,
    interval: `${interval}s`,
    // There: 4 s to connect and 2 s to answer over HTTP, 10 s to connect over TCP.
    timeout: `${Math.min(isHttp ? 6 : 10, interval)}s`,
    thresholds: { down: failures, up: failures, ok: 1 },
    downSpan: failures * interval < 2 ? "0s" : undefined,
  });
}

export type HealthChecks = {
  /** The name of our check; undefined where there is none, which has been said. */
  find(id: string, at: At): string | undefined;
};

export function readHealthChecks(sources: Sources, draft: Draft, notes: Notes): HealthChecks {
  const names = createNames();
  const known = new Map<string, string | undefined>();
  for (const { file, text } of sources.extra ?? []) {
    const json = readJson(file, text, notes);
    const root = mapOf(json.value);
    const list = [
      ...listOf(json.value),
      ...listOf(root?.["HealthChecks"]),
      ...(root?.["HealthCheck"] === undefined ? [] : [root["HealthCheck"]]),
    ];
    for (const one of list) {
      const fields = mapOf(one);
      const id = textOf(fields?.["Id"] ?? fields?.["id"]);
      const at: At = { file, line: json.lineOf(one), directive: `HealthCheck ${id ?? ""}`.trim() };
      if (!fields || id === undefined) {
        notes.leftOut(at, "The health check has no id", "Save the output of `aws route53 list-health-checks`");
        continue;
      }
      const config = mapOf(fields["HealthCheckConfig"]) ?? fields;
      const check = checkOf(config, at, notes);
      const named = textOf(config["FullyQualifiedDomainName"] ?? config["fqdn"]);
      const name = check && names.fresh(`${named ?? "check"}-${id.slice(0, 8)}`);
      known.set(id, name);
      if (check && name !== undefined) draft.checks.set(name, { value: check, at });
    }
  }
  return {
    find(id, at) {
      if (!known.has(id))
        notes.changed(
          at,
          `The health check ${quoted(id)} is not known: nothing is probed`,
          "Give --health-checks with the output of `aws route53 list-health-checks`",
        );
      return known.get(id);
    },
  };
}
