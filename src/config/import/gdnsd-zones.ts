/**
 * Zone files of gdnsd → ours: `DYNA` and `DYNC` become `STEER` (gdnsd.zonefile(5)).
 * @module
 */
import { basename } from "node:path";
import type { Draft, ZoneLine } from "#config/import/draft.ts";
import type { Services } from "#config/import/gdnsd-plugins.ts";
import { type At, type Notes, quoted } from "#config/import/notes.ts";
import { createNames } from "#config/import/words.ts";

const TTL = /^\d{1,10}[smhdw]?(?:\d{1,10}[smhdw]){0,5}$/i;
const UNITS: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3_600, d: 86_400, w: 604_800 };
const secondsOf = (text: string): number =>
  [...text.matchAll(/(\d{1,10})([smhdw]?)/gi)].reduce(
    (sum, [, count, unit]) => sum + Number(count) * (UNITS[unit!.toLowerCase()] ?? 1),
    0,
  );

/** The line without its comment; quotes keep a semicolon. */
const withoutComment = (line: string): string => /^(?:[^";\\]|\\.|"(?:[^"\\]|\\.)*"?)*/.exec(line)![0];

export function importZones(
  files: readonly { readonly file: string; readonly text: string }[],
  services: Services,
  defaultTtl: number,
  draft: Draft,
  notes: Notes,
): void {
  const names = createNames();
  const taken = new Set([...services.values()].map(({ name }) => name));
  const singles = new Map<string, string>();

  /** A service of one datacenter: `geoip!www/dc1`. */
  function singleOf(key: string, region: string, at: At): string {
    const known = singles.get(key);
    if (known !== undefined) return known;
    let name = names.fresh(key.replace(/^[^!]*!/, ""));
    while (taken.has(name)) name = names.fresh(name);
    singles.set(key, name);
    draft.dns.services.set(name, { value: { regions: [region], steer: "failover" }, at });
    return name;
  }

  function steerLine(raw: string, tokens: readonly string[], index: number, at: At): string | undefined {
    const [resource = "", datacenter] = (tokens[index + 1] ?? "").split("/");
    const service = services.get(resource);
    const region = datacenter === undefined ? undefined : service?.regions.get(datacenter);
    if (!service || (datacenter !== undefined && region === undefined)) {
      notes.leftOut(
        at,
        `Nothing was made of ${quoted(tokens[index + 1] ?? "")}`,
        "Write the service by hand, and STEER into the zone",
      );
      return undefined;
    }
    const name = region === undefined ? service.name : singleOf(`${resource}/${datacenter}`, region, at);
    const isBlank = /^\s/.test(raw);
    const owner = isBlank ? "" : tokens[0]!;
    const [max, min] = (
      tokens.slice(isBlank ? 0 : 1, index).find((token) => TTL.test(token.split("/")[0]!)) ?? ""
    ).split("/");
    const seconds = max ? Math.min(Math.max(secondsOf(max), 1), 86_400) : Math.min(defaultTtl, 86_400);
    const entry = draft.dns.services.get(name);
    if (min && TTL.test(min) && entry && entry.value["ttl"] === undefined)
      entry.value = {
        ...entry.value,
        ttl: { min: `${Math.min(Math.max(secondsOf(min), 1), seconds)}s`, max: `${seconds}s` },
      };
    if (tokens[index]!.toUpperCase() === "DYNC")
      notes.changed(at, "The name has addresses, not a CNAME", "Nothing to do");
    return `${owner} ${seconds} STEER ${name}`;
  }

  for (const { file, text } of files) {
    const zone = basename(file)
      .toLowerCase()
      .replace(/\.zone$/, "")
      .replaceAll("@", "/")
      .replace(/\.$/, "");
    if (!/^[a-z0-9_]([a-z0-9._-]*[a-z0-9_])?$/.test(zone) || zone.includes("..")) {
      notes.leftOut(
        { file, line: 1, directive: "zone" },
        "The file is not named after a zone",
        "Rename it, such as example.com",
      );
      continue;
    }
    const lines: ZoneLine[] = [];
    for (const [number, raw] of text.split(/\r?\n/).entries()) {
      const plain = withoutComment(raw);
      const tokens = plain.trim().split(/\s+/);
      const index = tokens.findIndex((token, position) => position <= 3 && /^DYN[AC]$/i.test(token));
      const at: At = {
        file,
        line: number + 1,
        directive: index >= 0 ? tokens.slice(0, index + 1).join(" ") : tokens[0]!,
      };
      if (plain.trim() === "") {
        if (lines.length > 0 || raw.trim() !== "")
          lines.push({ text: raw.trimEnd().replace(/[^\t\x20-\x7e]/g, "?"), at });
        continue;
      }
      if (/^\$ADDR_LIMIT/i.test(plain)) {
        notes.leftOut(at, "All addresses of a name are answered", "Leave it out");
        continue;
      }
      const replaced = raw.replace(/(^|\s)@[ZF](?=[\s.]|$)/g, `$1${zone}.`);
      const line = index < 0 ? replaced : steerLine(replaced, tokens, index, at);
      if (line !== undefined) lines.push({ text: line, at });
    }
    const hasTtl = lines.some(({ text: line }) => /^\$TTL\s/i.test(line));
    const first: At = { file, line: 1, directive: "$TTL" };
    draft.dns.zones.set(zone, hasTtl ? lines : [{ text: `$TTL ${defaultTtl}`, at: first }, ...lines]);
  }
}
