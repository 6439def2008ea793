/**
 * What the API may change of the balancer: edits of the stored overlay, proposed like any other configuration, and
 * overrides for states. Decides nothing.
 * @module
 */
import { ApiError } from "#api/problem-details.ts";
import type { BackendView, BalancerCommands, BalancerViews, PoolView } from "#api/views.ts";
import type { BalancerEngine } from "#app/balancer/engine.ts";
import { systemClock } from "#base/clock.ts";
import { RhumbError } from "#base/errors.ts";
import { endpointText } from "#base/ip.ts";
import { backendKey, isInFile, type Overlay, withBackend, withPool } from "#config/overlay.ts";
import type { ConfigDoor } from "#config/propose.ts";
import { parseYaml } from "#config/yaml.ts";
import type { Health } from "#health/engine.ts";
import { parseEndpoint } from "#pool/config.ts";
import type { BackendSpec, BalancerSnapshot } from "#state/balancer.ts";

export type BalancerCommandParts = {
  readonly door: ConfigDoor;
  readonly health: Health;
  readonly engine: Pick<BalancerEngine, "purge">;
  readonly views: BalancerViews;
  /** Whether the DNS has an address for a host name that is about to be configured. */
  readonly learnName: (name: string) => Promise<boolean>;
};

type Found = { readonly pool: string; readonly backend: BackendSpec; readonly key: string };

/** How the configuration names the entry that a backend comes from: `host:port`, or the name of SRV records. */
const configuredKey = ({ host, port }: BackendSpec): string => (host.startsWith("_") ? host : endpointText(host, port));

export function createBalancerCommands({
  door,
  health,
  engine,
  views,
  learnName,
}: BalancerCommandParts): BalancerCommands {
  const balancer = (): BalancerSnapshot => door.current()!.snapshot.balancer!;
  const find = (id: string): Found => {
    for (const { name, backends } of balancer().pools) {
      const backend = backends.find((one) => one.id === id);
      if (backend) return { pool: name, backend, key: configuredKey(backend) };
    }
    throw new ApiError("RHUMB_API_NOT_FOUND", `backend ${id}`);
  };
  const viewOf = (id: string): BackendView => views.backends().find(({ backend_id }) => backend_id === id)!;
  const poolView = (name: string): PoolView => views.pools().find((pool) => pool.name === name)!;
  const targetOf = ({ pool, backend }: Found): string => `backend/${pool}/${backend.key}`;
  const fileValue = (): unknown => {
    const { root } = door.current()!.files;
    return parseYaml(root.file, root.text, []).value;
  };

  async function propose(version: string | undefined, edit: (stored: Overlay) => Overlay): Promise<void> {
    const result = await door.propose({ source: "api", overlay: edit, basedOn: version });
    if (result.isOutdated) throw new ApiError("RHUMB_API_CHANGED", views.version());
    if (result.refusal) throw result.refusal;
    if (result.isApplied) return;
    const errors = result.problems.filter(({ severity }) => severity === "error");
    throw new ApiError("RHUMB_CONFIG_INVALID", errors.map(({ path, says }) => `${path}: ${says}`).join("; "), {
      problems: result.problems,
    });
  }

  return {
    async addBackend(request, version) {
      const { address, port, weight, pool, max_connections, backup, priority, zone, enabled } = request;
      const key = backendKey(endpointText(address, port));
      const endpoint = parseEndpoint(key);
      if (endpoint?.isName && !(await learnName(endpoint.host)))
        throw new RhumbError("RHUMB_BALANCER_UNRESOLVED", address);
      const find = () =>
        balancer()
          .pools.find(({ name }) => name === pool)!
          .backends.find((one) => one.key === key || configuredKey(one) === key);
      await propose(version, (stored) => {
        // Asked when it is this change's turn: of two that add the same, the second is refused.
        if (find() || isInPatch(stored, pool, key))
          throw new RhumbError("RHUMB_BALANCER_BACKEND_EXISTS", `${pool}/${key}`);
        return withBackend(stored, pool, key, {
          weight,
          ...(request.health_check_path === undefined ? {} : { healthPath: request.health_check_path }),
          ...(max_connections === 0 ? {} : { maxConnections: max_connections }),
          ...(backup ? { backup } : {}),
          ...(priority === undefined ? {} : { priority }),
          ...(zone === undefined ? {} : { zone }),
          ...(enabled ? {} : { enabled }),
        });
      });
      // As the contract has it: what it was when it came to be. Its first check may be through by now.
      return { ...viewOf(find()!.id), status: "unknown" };
    },
    async patchBackend(id, { weight, max_connections, enabled, priority, zone }, version) {
      const { pool, key } = find(id);
      await propose(version, (stored) =>
        withBackend(stored, pool, key, {
          ...(weight === undefined ? {} : { weight }),
          ...(max_connections === undefined ? {} : { maxConnections: max_connections }),
          ...(enabled === undefined ? {} : { enabled }),
          // `backup: true` of the file would contradict a tier.
          ...(priority === undefined ? {} : { priority, backup: null }),
          ...(zone === undefined ? {} : { zone }),
        }),
      );
      return viewOf(id);
    },
    async removeBackend(id, version) {
      const { pool, key } = find(id);
      const drained = viewOf(id).active_connections;
      const isOfFile = isInFile(fileValue(), pool, key);
      await propose(version, (stored) => withBackend(stored, pool, key, isOfFile ? null : undefined));
      return { backend_id: id, drained_connections: drained };
    },
    setState(id, { state, weight_percent, reason, for_seconds }, actor) {
      const found = find(id);
      const target = targetOf(found);
      const ours = health.listOverrides().filter((one) => one.target === target && one.origin === "api");
      for (const one of ours) health.clearOverride(one.id);
      if (state !== "ready")
        health.setOverride({
          target,
          verb: state === "drain" ? "drain" : "down",
          weightPercent: state === "drain" ? weight_percent : 100,
          reason,
          owner: actor.name,
          untilMs: for_seconds === undefined ? Number.MAX_SAFE_INTEGER : systemClock.nowMs() + for_seconds * 1_000,
        });
      return viewOf(id);
    },
    async setAlgorithm({ pool, algorithm, sticky_sessions, sticky_ttl_seconds }, version) {
      const sticky = sticky_sessions ? { by: "source", ttl: `${sticky_ttl_seconds}s` } : null;
      await propose(version, (stored) => withPool(stored, pool, { algorithm, sticky }));
      return poolView(pool);
    },
    async putPool(name, settings, version) {
      await propose(version, (stored) => withPool(stored, name, settings));
      return poolView(name);
    },
    async removePool(name, version) {
      const isOfFile = isInFile(fileValue(), name);
      await propose(version, (stored) => withPool(stored, name, null));
      return { name, says: isOfFile ? `${name} is as the file says again` : `${name} is gone` };
    },
    purgeCache: (what) => engine.purge(what),
  };
}

const isInPatch = ({ pools }: Overlay, pool: string, key: string): boolean => {
  const backends = (pools?.[pool] as { backends?: Record<string, unknown> } | undefined)?.backends;
  return backends !== undefined && backends[key] !== undefined && backends[key] !== null;
};
