/**
 * `service_types` of gdnsd → checks (gdnsd.config(5), gdnsd-plugin-http_status(8), gdnsd-plugin-tcp_connect(8)).
 * @module
 */
import { compact, type Draft } from "#config/import/draft.ts";
import { childOf, entriesOf, textOf, textsOf, type Vscf } from "#config/import/gdnsd-read.ts";
import { type At, type Notes, quoted } from "#config/import/notes.ts";
import { createNames, parseCount } from "#config/import/words.ts";

const GENERIC = ["plugin", "up_thresh", "ok_thresh", "down_thresh", "interval", "timeout"];
const OWN: Readonly<Record<string, readonly string[]>> = {
  http_status: ["port", "url_path", "vhost", "ok_codes"],
  tcp_connect: ["port"],
};

function readType(type: Vscf, notes: Notes): Record<string, unknown> | undefined {
  const plugin = textOf(childOf(type, "plugin")) ?? "";
  const own = Object.hasOwn(OWN, plugin) ? OWN[plugin] : undefined;
  if (!own) {
    notes.leftOut(type.at, `Checks know no plugin ${quoted(plugin)}`, "Write `kind: script` into a check of your own");
    return undefined;
  }
  const count = (key: string, standard: number, max: number, settings = 65_535): number => {
    const node = childOf(type, key);
    const found = parseCount(textOf(node), 1, settings);
    if (node && found === undefined) notes.leftOut(node.at, `${quoted(textOf(node) ?? "")} is no number`, "Correct it");
    if (found !== undefined && found > max)
      notes.changed(node!.at, `${found} is more than can be set; ${max} is written`, "Use a longer interval");
    return Math.min(found ?? standard, max);
  };
  for (const [key, { at }] of entriesOf(type)) {
    if (!GENERIC.includes(key) && !own.includes(key))
      notes.leftOut(at, "There is no such option of checks", "Leave it out");
  }
  const interval = count("interval", 10, 255);
  const path = textOf(childOf(type, "url_path")) ?? "/";
  const host = textOf(childOf(type, "vhost"));
  const codes = textsOf(childOf(type, "ok_codes"))
    .filter((code) => /^[1-5]\d\d$/.test(code))
    .slice(0, 32);
  if (plugin === "tcp_connect" && childOf(type, "port") === undefined) {
    notes.leftOut(type.at, "tcp_connect needs a port", "Add it");
    return undefined;
  }
  return compact({
    kind: plugin === "http_status" ? "http" : "tcp",
    port: count("port", 80, 65_535),
    ...(plugin === "http_status"
      ? {
          path: /^\/[\x21-\x7e]*$/.test(path) ? path : "/",
          host: host !== undefined && /^[\x21-\x7e]+$/.test(host) ? host : undefined,
          expect: { status: codes.length > 0 ? codes.map(Number) : [200] },
        }
      : {}),
    interval: `${interval}s`,
    timeout: `${Math.min(count("timeout", Math.max(1, Math.floor(interval / 2)), 255), interval)}s`,
    thresholds: {
      down: count("down_thresh", 10, 100),
      up: count("up_thresh", 20, 100),
      ok: count("ok_thresh", 10, 100),
    },
  });
}

export type ServiceTypes = {
  /** The check that a `service_types` value means; undefined: none. */
  find(types: Vscf | undefined): string | undefined;
};

export function readServiceTypes(root: Vscf, draft: Draft, notes: Notes): ServiceTypes {
  const names = createNames();
  const known = new Map<string, string>();
  for (const [type, node] of entriesOf(childOf(root, "service_types"))) {
    const check = readType(node, notes);
    if (!check) continue;
    const name = names.fresh(type);
    known.set(type, name);
    draft.checks.set(name, { value: check, at: node.at });
  }
  return {
    find(types) {
      const [first, ...more] = textsOf(types);
      const at = types?.at as At;
      if (more.length > 0)
        notes.changed(
          at,
          `An address has one check; that of ${quoted(first!)} is taken`,
          "Write a `kind: script` that asks for all",
        );
      if (first === undefined || first === "up") return undefined;
      const name = known.get(first);
      if (name === undefined)
        notes.changed(
          at,
          `There is no check for ${quoted(first)}: its addresses are not probed and count as up`,
          "Write `check:` into the region",
        );
      return name;
    },
  };
}
