/**
 * `rhumb backend`, `rhumb pool`, `rhumb listener`: the balancer as an operator sees and handles it, with HAProxy's verbs.
 * @module
 */
import { Command } from "commander";
import { endpointText } from "#base/ip.ts";
import { parseDurationMs } from "#base/units.ts";
import { type ApiOptions, apiCommand, clientFor, wrongUse } from "#cli/command.ts";
import { type Cell, type Colour, plain, say, sayJson, table } from "#cli/output.ts";
import type { Backend, BackendHealth, Listener, Pool } from "#cli/shapes.ts";

const COLOURS: Readonly<Record<string, Colour>> = {
  healthy: "green",
  unhealthy: "red",
  ejected: "red",
  unknown: "yellow",
  draining: "yellow",
  maintenance: "dim",
};

const endpoint = ({ address, port }: { address: string; port: number }): string => endpointText(address, port);

/** `10.0.0.1:80`, `[::1]:80` or `web.internal:80` */
function parseEndpoint(text: string): { address: string; port: number } {
  const match = /^(?:\[([^\]]+)\]|([^:]+)):(\d{1,5})$/.exec(text);
  if (!match) return wrongUse(`${text}: write 10.0.0.1:8080, [2001:db8::1]:8080 or web.internal:8080`);
  return { address: match[1] ?? match[2]!, port: Number(match[3]) };
}

function wholeNumber(option: string, text: string, max: number): number {
  const value = Number(text);
  return /^\d+$/.test(text) && value <= max ? value : wrongUse(`${option} ${text}: a whole number from 0 to ${max}`);
}

/** By id, or by `address:port` where that names one backend. */
async function find(options: ApiOptions & { pool?: string }, text: string): Promise<Backend> {
  const query = options.pool === undefined ? "" : `?pool=${encodeURIComponent(options.pool)}`;
  const all = (await clientFor(options).call("GET", `/backends${query}`)) as Backend[];
  const byId = all.find(({ backend_id }) => backend_id === text);
  if (byId) return byId;
  const same = all.filter((backend) => endpoint(backend) === text || `${backend.pool}/${endpoint(backend)}` === text);
  if (same.length === 1) return same[0]!;
  if (same.length === 0) return wrongUse(`there is no backend ${text}; \`rhumb backend list\` shows all`);
  return wrongUse(`${text} is in the pools ${same.map(({ pool }) => pool).join(", ")}: write POOL/${text}`);
}

const describe = (backend: Backend): string => `${backend.backend_id} (${backend.pool}, ${endpoint(backend)})`;

const list = (): Command =>
  apiCommand("list", "backends with their state, weight and connections", "rhumb backend list --pool web")
    .option("--pool <name>", "of this pool alone")
    .action(async (options: ApiOptions & { pool?: string }) => {
      const query = options.pool === undefined ? "" : `?pool=${encodeURIComponent(options.pool)}`;
      const all = (await clientFor(options).call("GET", `/backends${query}`)) as Backend[];
      if (options.json) return sayJson(all);
      if (all.length === 0) return say("no backends");
      const rows = all.map((backend): Cell[] => [
        backend.pool,
        backend.backend_id,
        endpoint(backend),
        { text: backend.status, colour: COLOURS[backend.status] },
        backend.effective_weight === backend.weight
          ? String(backend.weight)
          : `${backend.effective_weight} of ${backend.weight}`,
        backend.max_connections === 0
          ? String(backend.active_connections)
          : `${backend.active_connections} of ${backend.max_connections}`,
        String(backend.priority),
        backend.origin,
        backend.cause ?? "",
      ]);
      say(table(["POOL", "ID", "ADDRESS", "STATE", "WEIGHT", "CONNECTIONS", "TIER", "ORIGIN", "CAUSE"], rows));
    });

const show = (): Command =>
  apiCommand("show", "why a backend is healthy or not", "rhumb backend show 10.0.0.1:8080")
    .argument("<backend>", "id, address:port, or pool/address:port")
    .action(async (text: string, options: ApiOptions) => {
      const backend = await find(options, text);
      const health = (await clientFor(options).call("GET", `/backends/${backend.backend_id}/health`)) as BackendHealth;
      if (options.json) return sayJson(health);
      say(`${describe(backend)} is ${health.status}${health.cause ? `: ${plain(health.cause)}` : ""}`);
      const { current, total } = health.failures;
      say(
        `connections: ${health.active_connections} now, ${health.total_requests} in all; failed: ${current} in a row, ${total} in all`,
      );
      if (health.connect_ms !== null) say(`time to connect: ${health.connect_ms} ms`);
      const { last_check: check, ejection, override } = health;
      if (check) say(`last check: ${check.code} after ${check.duration_ms} ms at ${check.at}: ${plain(check.says)}`);
      if (ejection) say(`ejected until ${ejection.until}: ${plain(ejection.reason)}`);
      if (override)
        say(
          `${override.verb} by ${plain(override.owner)}, ${override.until ?? "until cleared"}: ${plain(override.reason)}`,
        );
    });

type AddOptions = ApiOptions & {
  pool?: string;
  weight: string;
  maxConnections: string;
  backup?: boolean;
  healthPath?: string;
  zone?: string;
};
const add = (): Command =>
  apiCommand("add", "add a backend to a pool", "rhumb backend add 10.0.0.3:8080 --pool web --weight 2")
    .argument("<address:port>", "10.0.0.1:8080, [2001:db8::1]:8080 or web.internal:8080")
    .option("--pool <name>", "needed where there are several")
    .option("--weight <n>", "share of new connections", "1")
    .option("--max-connections <n>", "0: no limit", "0")
    .option("--backup", "serve only where no other can")
    .option("--health-path <path>", "path of its HTTP check")
    .option("--zone <name>", "where it stands")
    .action(async (text: string, options: AddOptions) => {
      const body = {
        ...parseEndpoint(text),
        weight: wholeNumber("--weight", options.weight, 1_000),
        max_connections: wholeNumber("--max-connections", options.maxConnections, 1_000_000),
        ...(options.pool === undefined ? {} : { pool: options.pool }),
        ...(options.backup ? { backup: true } : {}),
        ...(options.healthPath === undefined ? {} : { health_check_path: options.healthPath }),
        ...(options.zone === undefined ? {} : { zone: options.zone }),
      };
      const added = (await clientFor(options).call("POST", "/backends", body)) as Backend;
      if (options.json) sayJson(added);
      else say(`Added ${describe(added)}: ${added.status} until its first check`);
    });

const remove = (): Command =>
  apiCommand("remove", "remove a backend; its connections may finish", "rhumb backend remove 10.0.0.3:8080")
    .argument("<backend>", "id, address:port, or pool/address:port")
    .action(async (text: string, options: ApiOptions) => {
      const backend = await find(options, text);
      const answer = (await clientFor(options).call("DELETE", `/backends/${backend.backend_id}`)) as {
        drained_connections: number;
      };
      if (options.json) sayJson(answer);
      else say(`Removed ${describe(backend)}; ${answer.drained_connections} connections drain`);
    });

type StateOptions = ApiOptions & { reason?: string; for?: string; weight?: string };
const STATES = [
  { state: "drain", says: "send no new clients to a backend; what it has may finish" },
  { state: "maint", says: "take a backend out of use; what it has may finish within the pool's drain time" },
  { state: "ready", says: "put a backend back into use" },
] as const;
const setState = ({ state, says }: (typeof STATES)[number]): Command => {
  const made = apiCommand(
    state,
    says,
    `rhumb backend ${state} 10.0.0.1:8080${state === "ready" ? "" : ' --reason "disk swap"'}`,
  )
    .argument("<backend>", "id, address:port, or pool/address:port")
    .option("--reason <text>", "why; everybody sees it")
    .action(async (text: string, options: StateOptions) => {
      const forMs = options.for === undefined ? undefined : parseDurationMs(options.for);
      if (options.for !== undefined && forMs === undefined) wrongUse(`--for ${options.for}: write 30m, 2h or 1d`);
      const backend = await find(options, text);
      const body = {
        state,
        ...(options.reason === undefined ? {} : { reason: options.reason }),
        ...(forMs === undefined ? {} : { for_seconds: Math.ceil(forMs / 1_000) }),
        ...(options.weight === undefined ? {} : { weight_percent: wholeNumber("--weight", options.weight, 100) }),
      };
      const now = (await clientFor(options).call("PUT", `/backends/${backend.backend_id}/state`, body)) as Backend;
      if (options.json) sayJson(now);
      else say(`${describe(now)} is ${now.status}; ${now.active_connections} connections`);
    });
  if (state !== "ready") made.option("--for <duration>", "how long, such as 2h (default: until `ready`)");
  if (state === "drain") made.option("--weight <percent>", "share of its weight that is left");
  return made;
};

const weight = (): Command =>
  apiCommand(
    "weight",
    "change a backend's weight; new connections follow at once",
    "rhumb backend weight 10.0.0.1:8080 5",
  )
    .argument("<backend>", "id, address:port, or pool/address:port")
    .argument("<weight>", "0 to 1000; 0: no new clients")
    .action(async (text: string, value: string, options: ApiOptions) => {
      const body = { weight: wholeNumber("weight", value, 1_000) };
      const backend = await find(options, text);
      const now = (await clientFor(options).call("PATCH", `/backends/${backend.backend_id}`, body)) as Backend;
      if (options.json) sayJson(now);
      else say(`${describe(now)} has weight ${now.weight}`);
    });

export function backendCommand(): Command {
  const group = new Command("backend").description("servers behind the balancer");
  group.addHelpText("after", "\nExample:\n  rhumb backend drain 10.0.0.1:8080");
  for (const made of [list(), show(), add(), remove(), ...STATES.map(setState), weight()]) group.addCommand(made);
  return group;
}

export function poolCommand(): Command {
  const group = new Command("pool").description("pools of the balancer");
  group.addHelpText("after", "\nExample:\n  rhumb pool algorithm web least_connections");
  group.addCommand(
    apiCommand("list", "pools with their algorithm and health", "rhumb pool list").action(
      async (options: ApiOptions) => {
        const all = (await clientFor(options).call("GET", "/pools")) as Pool[];
        if (options.json) return sayJson(all);
        if (all.length === 0) return say("no pools");
        const rows = all.map((pool): Cell[] => [
          pool.name,
          pool.mode,
          pool.algorithm,
          {
            text: `${pool.backends.healthy} of ${pool.backends.total}`,
            colour:
              pool.backends.healthy === 0 ? "red" : pool.backends.healthy < pool.backends.total ? "yellow" : "green",
          },
          pool.panic ? "panic: health is ignored" : "",
          String(pool.active_connections),
          String(pool.queued),
        ]);
        say(table(["POOL", "MODE", "ALGORITHM", "HEALTHY", "PANIC", "CONNECTIONS", "QUEUED"], rows));
      },
    ),
  );
  group.addCommand(
    apiCommand("algorithm", "change how a pool chooses", "rhumb pool algorithm web least_connections")
      .argument("<pool>", "its name")
      .argument("<algorithm>", "round_robin, least_connections, p2c, maglev, …: docs/algorithms.md")
      .option("--sticky", "keep each client address at its backend")
      .option("--sticky-ttl <duration>", "for how long after its last connection", "1h")
      .action(
        async (pool: string, algorithm: string, options: ApiOptions & { sticky?: boolean; stickyTtl: string }) => {
          const ttlMs = parseDurationMs(options.stickyTtl);
          if (ttlMs === undefined) wrongUse(`--sticky-ttl ${options.stickyTtl}: write 30m or 1h`);
          const body = {
            pool,
            algorithm,
            sticky_sessions: options.sticky === true,
            sticky_ttl_seconds: Math.max(1, Math.round(ttlMs! / 1_000)),
          };
          const now = (await clientFor(options).call("PUT", "/config/algorithm", body)) as Pool;
          if (options.json) sayJson(now);
          else say(`${now.name} chooses by ${now.algorithm}${now.sticky_sessions ? ", sticky" : ""}`);
        },
      ),
  );
  return group;
}

export function listenerCommand(): Command {
  const group = new Command("listener").description("where the balancer accepts traffic");
  group.addHelpText("after", "\nExample:\n  rhumb listener list");
  group.addCommand(
    apiCommand("list", "listeners with their counters", "rhumb listener list").action(async (options: ApiOptions) => {
      const all = (await clientFor(options).call("GET", "/listeners")) as Listener[];
      if (options.json) return sayJson(all);
      if (all.length === 0) return say("no listeners");
      const rows = all.map((listener): Cell[] => [
        listener.name,
        listener.protocol,
        endpoint(listener),
        listener.pool ?? "by name",
        String(listener.counters["active"] ?? 0),
        String(listener.counters["accepted"] ?? 0),
      ]);
      say(table(["LISTENER", "PROTOCOL", "ADDRESS", "POOL", "CONNECTIONS", "ACCEPTED"], rows));
    }),
  );
  return group;
}
