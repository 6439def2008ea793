/**
 * HAProxy's configuration → listeners and pools.
 *
 * What is read: `defaults`, `frontend`, `backend`, `listen`, and of `global` what concerns them.
 * @module
 */
import { createDraft } from "#config/import/draft.ts";
import { bindsOf } from "#config/import/haproxy-bind.ts";
import { listenerOf, rulesOf } from "#config/import/haproxy-frontend.ts";
import { type HttpParts, httpListenerOf, poolsOf } from "#config/import/haproxy-http.ts";
import { tellLeftOut } from "#config/import/haproxy-left-out.ts";
import { poolOf } from "#config/import/haproxy-pool.ts";
import { lastOf, modeOf, type ProxySection, proxiesOf } from "#config/import/haproxy-proxy.ts";
import { readHaproxy, type Section } from "#config/import/haproxy-read.ts";
import { createNotes, type Notes, quoted } from "#config/import/notes.ts";
import { type Imported, settle } from "#config/import/settle.ts";
import type { Sources } from "#config/import/sources.ts";
import { createNames, parseCount } from "#config/import/words.ts";

const RELAYED_MODES = ["tcp", "http"];

type Globals = { readonly crtBase: string; readonly maxConnections: number | undefined };
function readGlobals(sections: readonly Section[], notes: Notes): Globals {
  let crtBase = "";
  let maxConnections: number | undefined;
  for (const { words, at } of sections.filter(({ kind }) => kind === "global").flatMap(({ lines }) => lines)) {
    if (words[0] === "crt-base") crtBase = words[1] ?? "";
    else if (words[0] === "maxconn") {
      maxConnections = parseCount(words[1], 1, 1_000_000);
      if (maxConnections !== undefined)
        notes.changed(
          at,
          "There is no limit of the process: it becomes that of each listener that has none",
          "Choose `limits: { maxConnections: … }`",
        );
    } else
      notes.leftOut(
        at,
        "Settings of HAProxy's process have no meaning here",
        "See docs/settings.md and docs/going-live.md",
      );
  }
  return { crtBase, maxConnections };
}

export function importHaproxy({ file, text }: Sources): Imported {
  const notes = createNotes();
  const draft = createDraft("HAProxy");
  const sections = readHaproxy(file, text, notes);
  for (const { kind, at } of sections) {
    if (!["global", "defaults", "frontend", "backend", "listen"].includes(kind))
      notes.leftOut(
        at,
        kind === "resolvers"
          ? "Host names are asked for by the system's resolver"
          : "Sections of this kind have no meaning here",
        kind === "peers" ? "Use `cluster: { redis: … }` for shared tables" : "Leave it out",
      );
  }
  const globals = readGlobals(sections, notes);
  const proxies = proxiesOf(sections, notes).filter((proxy) => {
    if (lastOf(proxy, "disabled")) notes.leftOut(proxy.at, "It is disabled", "Nothing to do");
    else if (!RELAYED_MODES.includes(modeOf(proxy)))
      notes.leftOut(proxy.at, `Connections of mode ${quoted(modeOf(proxy))} are not relayed`, "Leave it out");
    else return true;
    return false;
  });

  const poolNames = createNames();
  const backends = new Map<string, { readonly proxy: ProxySection; readonly pool: string }>();
  for (const proxy of proxies) {
    if (proxy.kind === "frontend") continue;
    if (backends.has(proxy.name))
      notes.leftOut(proxy.at, `There is a backend ${quoted(proxy.name)} already`, "Rename one of them");
    else backends.set(proxy.name, { proxy, pool: poolNames.fresh(proxy.name) });
  }

  /** Ports that clients of each pool come to. */
  const ports = new Map<string, Set<number>>();
  const listenerNames = createNames();
  const understood = new Set<number>();
  const parts: HttpParts = {
    globalMax: globals.maxConnections,
    backendOf: (name) => backends.get(name),
    notes,
    read: ({ at }) => understood.add(at.line),
  };
  for (const proxy of proxies) {
    if (proxy.kind === "backend") continue;
    const isHttp = modeOf(proxy) === "http";
    const rules = isHttp ? undefined : rulesOf(proxy, (name) => backends.get(name)?.pool, notes);
    const binds = proxy.own
      .filter(({ words }) => words[0] === "bind")
      .flatMap((line) => bindsOf(line, globals.crtBase, notes));
    if (binds.length === 0)
      notes.leftOut(proxy.at, "It listens nowhere", "Add a `bind` line, or a `listen:` address to the listener");
    for (const bind of binds) {
      const listener = rules
        ? listenerOf(proxy, bind, rules, globals.maxConnections, notes)
        : httpListenerOf(proxy, bind, parts);
      if (!listener) continue;
      draft.balancer.listeners.set(listenerNames.fresh(proxy.name), { value: listener, at: bind.line.at });
      for (const pool of rules ? [rules.pool, ...rules.routes.map((route) => route.pool)] : poolsOf(listener)) {
        if (pool !== undefined) ports.set(pool, (ports.get(pool) ?? new Set()).add(bind.port));
      }
    }
  }
  for (const { proxy, pool } of backends.values())
    draft.balancer.pools.set(pool, { value: poolOf(proxy, [...(ports.get(pool) ?? [])], notes), at: proxy.at });
  const told = new Set(notes.list().map(({ line }) => line));
  for (const proxy of proxies) {
    tellLeftOut(proxy, ({ line }) => told.has(line) || understood.has(line), notes);
  }
  return settle(draft, notes);
}
