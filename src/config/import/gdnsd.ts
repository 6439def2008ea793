/**
 * gdnsd's configuration → regions, services, checks and overrides; its zone files where they are given.
 * @module
 */
import { createDraft, type Draft } from "#config/import/draft.ts";
import { readServiceTypes } from "#config/import/gdnsd-checks.ts";
import { readGeoMaps } from "#config/import/gdnsd-maps.ts";
import { importPlugins } from "#config/import/gdnsd-plugins.ts";
import { childOf, entriesOf, readVscf, textOf, textsOf, type Vscf } from "#config/import/gdnsd-read.ts";
import { importZones } from "#config/import/gdnsd-zones.ts";
import { createNotes, type Notes, quoted } from "#config/import/notes.ts";
import { createRegions } from "#config/import/regions.ts";
import { type Imported, settle } from "#config/import/settle.ts";
import type { Sources } from "#config/import/sources.ts";
import { isListenHost, listenText, parseCount } from "#config/import/words.ts";

/** gdnsd.config(5), "zones_default_ttl". */
const ZONES_DEFAULT_TTL = 86_400;

function readListen(node: Vscf | undefined, draft: Draft, notes: Notes): void {
  const places = node?.kind === "map" ? [...node.entries.keys()] : textsOf(node);
  for (const place of places) {
    const [, host = "", port] = /^(\[[^\]]+\]|[^:]*|[0-9a-f:]+)(?::(\d{1,5}))?$/i.exec(place) ?? [];
    const number = port === undefined ? 53 : parseCount(port, 1, 65_535);
    const bare = host === "any" ? "*" : host;
    if (host === "" || number === undefined || !isListenHost(bare))
      notes.leftOut(node!.at, `Cannot tell where to listen: ${quoted(place)}`, "Write `dns: { listen: … }`");
    else draft.dns.listen.push(listenText(bare, number));
  }
}

export function importGdnsd(sources: Sources): Imported {
  const notes = createNotes();
  const draft = createDraft("gdnsd");
  const root = readVscf(sources, notes);
  const options = childOf(root, "options");
  for (const [key, { at }] of entriesOf(root)) {
    if (!["options", "plugins", "service_types"].includes(key))
      notes.leftOut(at, "There is no such section", "Correct it");
  }
  for (const [key, { at }] of entriesOf(options)) {
    if (key !== "listen" && key !== "zones_default_ttl")
      notes.leftOut(at, "Settings of gdnsd's process have no meaning here", "See `dns:` in docs/settings.md");
  }
  readListen(childOf(options, "listen"), draft, notes);
  const types = readServiceTypes(root, draft, notes);
  const maps = readGeoMaps(root, notes);
  const services = importPlugins({ root, draft, regions: createRegions(draft, notes), types, maps, notes });
  maps.finish(draft);
  const ttl = parseCount(textOf(childOf(options, "zones_default_ttl")), 1, 2_147_483_647) ?? ZONES_DEFAULT_TTL;
  importZones(sources.extra ?? [], services, ttl, draft, notes);
  const plugins = childOf(root, "plugins");
  if (plugins && (sources.extra ?? []).length === 0)
    notes.leftOut(
      plugins.at,
      "Without its zones no name is steered",
      "Give --zones with the folder of gdnsd's zone files, or write STEER into yours",
    );
  return settle(draft, notes);
}
