/**
 * The configuration as YAML with the API's changes merged in, to be put back into files: `rhumb config export`.
 * @module
 */

import { Document, isMap, isScalar } from "yaml";
import type { ConfigFiles } from "#config/files.ts";
import { mergePatch, type Overlay } from "#config/overlay.ts";
import { parseYaml } from "#config/yaml.ts";

function section(file: string, value: unknown, patch: Readonly<Record<string, unknown>> | undefined): string {
  const document = new Document(value, { aliasDuplicateObjects: false });
  const map = document.contents;
  if (patch && isMap(map)) {
    for (const pair of map.items) {
      if (isScalar(pair.key) && Object.hasOwn(patch, String(pair.key.value))) pair.key.commentBefore = " origin: api";
    }
  }
  const removed = Object.keys(patch ?? {}).filter((name) => patch![name] === null);
  const note = removed.length > 0 ? `# removed by the API: ${removed.join(", ")}\n` : "";
  return `# ${file}\n${note}${document.toString({ lineWidth: 120 })}`;
}

/** @returns one YAML document per file, each headed by the file's name; secrets stay references */
export function exportConfig(files: ConfigFiles, overlay: Overlay): string {
  const valueIn = (text: string | undefined): unknown => parseYaml("", text ?? "{}", []).value ?? {};
  const root = section(files.root.file, valueIn(files.root.text), undefined);
  const regions = mergePatch(valueIn(files.regions?.text), overlay.regions ?? {});
  const services = mergePatch(valueIn(files.services?.text), overlay.services ?? {});
  return [
    root,
    section(files.regions?.file ?? "geo-data/regions.yaml", regions, overlay.regions),
    section(files.services?.file ?? "zones/services.yaml", services, overlay.services),
  ].join("---\n");
}
