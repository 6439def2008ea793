/**
 * Texts that were pushed to all nodes, and how they lie over the files of this one.
 *
 * Owns:    the names under which files are pushed: those of the default layout, wherever a node keeps the file itself, and
 *          which there are. What is a node's own has no name here: rhumb.yaml, secrets, scripts, `health/overrides.yaml`.
 * Never:   reads files.
 * @module
 */
import { createHash } from "node:crypto";
import { join } from "node:path";
import type { Overlay } from "#config/overlay.ts";
import type { RootConfig } from "#config/parse.ts";
import type { RecordVersion } from "#state/shared.ts";

/** What all nodes share of the API's overlay; of pools, each balancer has its own. */
export type SharedOverlay = Pick<Overlay, "services" | "regions">;
/** @param overlay as it is stored or came; what is not shared is left out */
export function sharedOf(overlay: Readonly<Record<string, unknown>>): SharedOverlay {
  const { services, regions } = overlay as SharedOverlay;
  return { ...(services && { services }), ...(regions && { regions }) };
}
export type PushedTexts = {
  /** By name, such as `zones/example.com.zone`. */
  readonly files: Readonly<Record<string, string>>;
  readonly overlay: SharedOverlay;
};
/** What serves of it here. */
export type Pushed = PushedTexts & {
  readonly version: RecordVersion;
  readonly actor: string;
  /** By name: SHA-256 of the file that it lay over when it was taken; empty: there was none. */
  readonly disk: Readonly<Record<string, string>>;
};

/** The pushed texts at the places where this node looks for the files. */
export type Layer = {
  /** By absolute path. */
  readonly texts: ReadonlyMap<string, string>;
  /** By absolute path, as `Pushed.disk`. */
  readonly disk: ReadonlyMap<string, string>;
  readonly names: ReadonlyMap<string, string>;
  /** Over all of it. */
  readonly digest: string;
};
/** A pushed text, and the file that it lies over. */
export type Shadow = {
  readonly name: string;
  /** The file, as messages show it. */
  readonly file: string;
  /** SHA-256 of the file now; empty: there is none. */
  readonly digest: string;
  /** It was changed after the text was taken, and says something else. */
  readonly isEdited: boolean;
};

export const textDigest = (text: string | Uint8Array): string => createHash("sha256").update(text).digest("hex");

const SEGMENT = "[A-Za-z0-9_][A-Za-z0-9_.-]*";
const ZONE_NAME = new RegExp(`^zones/((?:${SEGMENT}/)*${SEGMENT})$`);
const CHECK_NAME = new RegExp(`^health/(${SEGMENT}\\.yaml)$`);

export type Layout = {
  readonly zones: string;
  readonly regions: string;
  readonly geoOverrides: string;
  readonly checks: string;
};
export const layoutOf = (root: RootConfig): Layout => ({
  zones: root.zones,
  regions: root.geo?.regions ?? "geo-data/regions.yaml",
  geoOverrides: root.geo?.overrides ?? "geo-data/overrides.yaml",
  checks: root.health?.checks ?? "health/",
});

/** @returns where a node with this layout keeps the file, as its rhumb.yaml says it; undefined: no such file is pushed */
export function pathOf(name: string, layout: Layout): string | undefined {
  if (name === "geo-data/regions.yaml") return layout.regions;
  if (name === "geo-data/overrides.yaml") return layout.geoOverrides;
  const check = CHECK_NAME.exec(name)?.[1];
  if (check !== undefined) return check === "overrides.yaml" ? undefined : join(layout.checks, check);
  const zone = ZONE_NAME.exec(name)?.[1];
  return zone === undefined ? undefined : join(layout.zones, zone);
}

/** @param absolute makes a path of rhumb.yaml absolute */
export function layerOf(
  pushed: PushedTexts & Partial<Pushed>,
  root: RootConfig,
  absolute: (path: string) => string,
): Layer {
  const layout = layoutOf(root);
  const places = Object.entries(pushed.files).flatMap(([name, text]) => {
    const path = pathOf(name, layout);
    return path === undefined ? [] : [{ name, text, full: absolute(path) }];
  });
  const texts = new Map(places.map(({ full, text }) => [full, text]));
  return {
    texts,
    names: new Map(places.map(({ full, name }) => [full, name])),
    disk: new Map(
      places.flatMap(({ full, name }) => {
        const digest = pushed.disk?.[name];
        return digest === undefined ? [] : [[full, digest] as const];
      }),
    ),
    digest: textDigest(JSON.stringify([[...texts], pushed.disk ?? {}])),
  };
}
