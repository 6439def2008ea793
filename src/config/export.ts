/**
 * The configuration as YAML with the API's changes merged in, to be put back into files: `rhumb config export`.
 * @module
 */

import { Document, isMap, isScalar, isSeq, type Node } from "yaml";
import { isPlainMap } from "#config/entries.ts";
import type { ConfigFiles } from "#config/files.ts";
import {
  backendEntryKey,
  mergePatch,
  type Overlay,
  type PoolsPatch,
  patchedBackends,
  patchPools,
} from "#config/overlay.ts";
import { type Path, parseYaml } from "#config/yaml.ts";

const API_COMMENT = " origin: api";

/** Marks the entries of a map that `patch` says something of. */
function markEntries(map: unknown, patch: Readonly<Record<string, unknown>>): void {
  if (!isMap(map)) return;
  for (const pair of map.items) {
    if (isScalar(pair.key) && Object.hasOwn(patch, String(pair.key.value))) pair.key.commentBefore = API_COMMENT;
  }
}
const removedNames = (patch: Readonly<Record<string, unknown>>): string[] =>
  Object.keys(patch).filter((name) => patch[name] === null);

function textOf(file: string, document: Document, removed: readonly string[]): string {
  const note = removed.length > 0 ? `# removed by the API: ${removed.join(", ")}\n` : "";
  return `# ${file}\n${note}${document.toString({ lineWidth: 120 })}`;
}

function section(file: string, value: unknown, patch: Readonly<Record<string, unknown>> = {}): string {
  const document = new Document(value, { aliasDuplicateObjects: false });
  markEntries(document.contents, patch);
  return textOf(file, document, removedNames(patch));
}

/** rhumb.yaml: of pools, the API changes single settings and backends, and each of them is marked. */
function rootSection(file: string, value: unknown, patch: PoolsPatch): string {
  if (!isPlainMap(value) || !isPlainMap(value["balancer"])) return section(file, value);
  const { pools } = patchPools(value["balancer"]["pools"], patch);
  const document = new Document(
    { ...value, balancer: { ...value["balancer"], pools } },
    { aliasDuplicateObjects: false },
  );
  const at = (path: Path): unknown => document.getIn(path, true);
  const isOfFile = (name: string): boolean =>
    isPlainMap(value["balancer"]) &&
    isPlainMap(value["balancer"]["pools"]) &&
    Object.hasOwn(value["balancer"]["pools"], name);
  const removed = removedNames(patch).map((name) => `pool ${name}`);
  markEntries(at(["balancer", "pools"]), Object.fromEntries(Object.entries(patch).filter(([name]) => !isOfFile(name))));
  for (const [name, change] of Object.entries(patch)) {
    if (!isPlainMap(change) || !isOfFile(name)) continue;
    const { backends, ...settings } = change;
    const path = ["balancer", "pools", name];
    markEntries(at(path), Array.isArray(backends) ? change : settings);
    removed.push(...removedNames(settings).map((key) => `${key} of pool ${name}`));
    if (!isPlainMap(backends)) continue;
    removed.push(...removedNames(backends).map((key) => `backend ${name}/${key}`));
    const list = at([...path, "backends"]);
    const patched = patchedBackends(patch, name);
    for (const item of isSeq(list) ? list.items : []) {
      const key = backendEntryKey((item as Node).toJS(document));
      if (key !== undefined && patched.has(key)) (item as Node).commentBefore = API_COMMENT;
    }
  }
  return textOf(file, document, removed);
}

/** @returns one YAML document per file, each headed by the file's name; secrets stay references */
export function exportConfig(files: ConfigFiles, overlay: Overlay): string {
  const valueIn = (text: string | undefined): unknown => parseYaml("", text ?? "{}", []).value ?? {};
  const regions = mergePatch(valueIn(files.regions?.text), overlay.regions ?? {});
  const services = mergePatch(valueIn(files.services?.text), overlay.services ?? {});
  return [
    rootSection(files.root.file, valueIn(files.root.text), overlay.pools ?? {}),
    section(files.regions?.file ?? "geo-data/regions.yaml", regions, overlay.regions),
    section(files.services?.file ?? "zones/services.yaml", services, overlay.services),
  ].join("---\n");
}
