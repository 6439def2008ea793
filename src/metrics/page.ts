/** The text of `docs/metrics.md`, made from the catalog; a test holds the file to it. @module */
import { METRICS } from "#metrics/catalog.ts";
import type { Metric } from "#metrics/metric.ts";

export function metricsPage(): string {
  const rows = Object.entries<Metric>(METRICS).map(
    ([name, { type, unit, labels, help }]) =>
      `| \`${name}\` | ${type} | ${unit} | ${labels.map((label) => `\`${label}\``).join(", ")} | ${help} |`,
  );
  return `# Metrics

\`GET /metrics\` of the control API serves these in the Prometheus text format. It needs a token of the role \`read\`:

\`\`\`yaml
scrape_configs:
  - job_name: rhumb
    authorization: { credentials_file: /etc/prometheus/rhumb.token }
    static_configs: [{ targets: ["127.0.0.1:8053"] }]
\`\`\`

Counters of DNS workers are summed over all workers of the node and start at 0 with the process. This page is made from
\`src/metrics/catalog.ts\`.

| name | type | unit | labels | what it says |
|---|---|---|---|---|
${rows.join("\n")}

## Worth an alert

| expression | why |
|---|---|
| \`rhumb_target_verdict{target=~"region/[^/]+"} == 2\` | a region is down |
| \`rhumb_health_frozen_targets > 0\` | more fails at once than is believed: is this node's own network sound? |
| \`rhumb_health_probes_waiting > 0\` for 5 min | probes wait for each other: verdicts come late |
| \`rate(rhumb_dns_fail_open_total[5m]) > 0\` | clients are sent to targets that are down, because none is up |
| \`rhumb_config_last_reload_ok == 0\` | the files on disk are not what serves |
| \`rate(rhumb_dns_handler_faults_total[5m]) > 0\` | a defect: report it |
| \`rhumb_geo_database_age_seconds > 45 * 86400\` | the geo database is no longer updated |
| \`rhumb_override_age_seconds > 86400\` | an override that somebody forgot |
| \`rate(rhumb_dns_dropped_total{reason="rrl"}[5m]) > 100\` | the rate limit is at work: an attack, or one very busy resolver |
`;
}
