/** Alert rules and dashboards: what they name is ours, and the real Prometheus finds something by every query. */
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import test from "node:test";
import { fileURLToPath } from "node:url";
import { parse } from "yaml";
import { METRICS } from "#metrics/catalog.ts";
import type { Metric } from "#metrics/metric.ts";
import { run } from "../system/running.ts";
import { folderWith, freePort, startDaemon, without } from "../system/tools.ts";

const deploy = fileURLToPath(new URL("../../deploy/", import.meta.url));

type Panel = {
  readonly id: number;
  readonly title: string;
  readonly description: string;
  readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number };
  readonly datasource: { readonly uid: string };
  readonly fieldConfig: { readonly defaults: { readonly unit: string } };
  readonly targets: readonly { readonly refId: string; readonly expr: string; readonly legendFormat: string }[];
};
type Dashboard = { readonly uid: string; readonly title: string; readonly panels: readonly Panel[] };

const dashboards: readonly Dashboard[] = readdirSync(join(deploy, "grafana/dashboards")).map((file) =>
  JSON.parse(readFileSync(join(deploy, "grafana/dashboards", file), "utf8")),
);
const { groups } = parse(readFileSync(join(deploy, "prometheus/rhumb.yml"), "utf8")) as {
  readonly groups: readonly { readonly rules: readonly { readonly alert: string; readonly expr: string }[] }[];
};
const rules = groups.flatMap((group) => group.rules);
const queries = [
  ...rules.map(({ alert, expr }) => ({ of: alert, expr: expr.replace(/ (==|>) [0-9.]+$/, "") })),
  ...dashboards.flatMap(({ uid, panels }) =>
    panels.flatMap(({ title, targets }) => targets.map(({ expr }) => ({ of: `${uid}: ${title}`, expr }))),
  ),
];

test("alert rules and dashboards name metrics that there are", () => {
  for (const { of, expr } of queries)
    for (const [name] of expr.matchAll(/\brhumb_[a-z0-9_]+/g))
      assert.ok(name.replace(/_bucket$/, "") in METRICS, `${of}: ${name}`);
});

test("dashboards are well-formed: names, units, places, one source of data", () => {
  assert.equal(new Set(dashboards.map(({ uid }) => uid)).size, dashboards.length);
  for (const { uid, panels } of dashboards) {
    assert.equal(new Set(panels.map(({ id }) => id)).size, panels.length, uid);
    const taken = new Set<string>();
    for (const { title, description, gridPos, datasource, fieldConfig, targets } of panels) {
      assert.ok(title !== "" && description.endsWith("."), `${uid}: ${title}`);
      assert.ok(fieldConfig.defaults.unit !== "", title);
      assert.equal(datasource.uid, "prometheus", title);
      assert.equal(new Set(targets.map(({ refId }) => refId)).size, targets.length, title);
      assert.ok(targets.every(({ legendFormat }) => legendFormat !== ""));
      assert.ok(gridPos.x + gridPos.w <= 24, title);
      for (let x = gridPos.x; x < gridPos.x + gridPos.w; x++)
        for (let y = gridPos.y; y < gridPos.y + gridPos.h; y++) {
          assert.ok(!taken.has(`${x},${y}`), `${uid}: ${title} lies over another panel`);
          taken.add(`${x},${y}`);
        }
    }
  }
});

test("alert rules pass their own tests", { skip: without("promtool") }, async () => {
  const folder = join(deploy, "prometheus");
  for (const words of [
    ["check", "rules", join(folder, "rhumb.yml")],
    ["test", "rules", join(folder, "rhumb.test.yml")],
  ]) {
    const { code, out, err } = await run("promtool", words);
    assert.equal(code, 0, out + err);
  }
});

/** One sample of each metric that there is, with each label; counters grow from page to page. */
function metricsPage(turn: number): string {
  const LABELS: Readonly<Record<string, string>> = { target: "region/eu-west", class: "5xx" };
  return Object.entries<Metric>(METRICS)
    .map(([name, { type, labels }]) => {
      const set = labels.map((label) => `${label}="${LABELS[label] ?? "some"}"`);
      const value = type === "gauge" ? 1 : turn;
      if (type !== "histogram") return `# TYPE ${name} ${type}\n${name}{${set.join(",")}} ${value}\n`;
      const bucket = (le: string) => `${name}_bucket{${[...set, `le="${le}"`].join(",")}} ${value}\n`;
      return `# TYPE ${name} histogram\n${bucket("1")}${bucket("+Inf")}`;
    })
    .join("");
}

test("the real Prometheus finds something by every query of rules and dashboards", {
  skip: without("prometheus"),
}, async (t) => {
  const scrapes = Promise.withResolvers<void>();
  let turn = 0;
  const target = createServer((_request, response) => {
    response.writeHead(200, { "content-type": "text/plain; version=0.0.4" }).end(metricsPage(++turn));
    if (turn === 5) scrapes.resolve();
  });
  await new Promise<void>((done) => target.listen(0, "127.0.0.1", done));
  t.after(() => {
    target.close();
    target.closeAllConnections();
  });
  const { port: targetPort } = target.address() as AddressInfo;
  const config = `scrape_configs:
  - job_name: rhumb
    scrape_interval: 500ms
    scrape_timeout: 500ms
    static_configs: [{ targets: ["127.0.0.1:${targetPort}"], labels: { node: ns1 } }]
`;
  const folder = folderWith(t, { "prometheus.yml": config });
  const port = await freePort();
  const words = [`--config.file=${join(folder, "prometheus.yml")}`, `--storage.tsdb.path=${join(folder, "data")}`];
  await startDaemon(t, ["prometheus", ...words, `--web.listen-address=127.0.0.1:${port}`], /ready to receive web/);
  await scrapes.promise;
  for (const { of, expr } of queries) {
    const query = expr.replaceAll("$__rate_interval", "1m");
    const response = await fetch(`http://127.0.0.1:${port}/api/v1/query?query=${encodeURIComponent(query)}`);
    const answer = (await response.json()) as {
      readonly status: string;
      readonly error?: string;
      readonly data?: { readonly result: readonly unknown[] };
    };
    assert.equal(answer.status, "success", `${of}: ${answer.error}`);
    assert.ok(answer.data!.result.length > 0, `${of} finds nothing: ${query}`);
  }
});
