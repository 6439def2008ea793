/**
 * A draft as the text of files.
 * @module
 */
import { Document, isCollection, isMap, isPair, visit } from "yaml";
import type { Draft, Entries } from "#config/import/draft.ts";

export type ImportedFile = { readonly path: string; readonly text: string };

/** Small maps and lists stand in one line. */
const MAX_INLINE = 96;
/** Lines of a zone file before its first record. */
export const ZONE_HEAD_LINES = 1;

function yamlText(head: string, value: unknown): string {
  const document = new Document(value, { aliasDuplicateObjects: false });
  visit(document, (_key, node, path) => {
    // Only below the entries: files, sections and entries keep a line of their own for each key.
    if (!isCollection(node) || path.length < 3) return;
    const isLeaf = node.items.every((item) => !isCollection(isPair(item) ? item.value : item));
    const owner = path.at(-1);
    const size = JSON.stringify(node.toJSON()).length;
    if (size <= MAX_INLINE && (isLeaf || (isMap(node) && isPair(owner)))) node.flow = true;
  });
  const body = document.toString({ lineWidth: 120, flowCollectionPadding: true });
  return `${head.replace(/^/gm, "# ")}\n${body}`;
}

const plainMap = (entries: Entries): Record<string, unknown> =>
  Object.fromEntries([...entries].map(([name, { value }]) => [name, value]));

function rootText({ product, balancer, dns }: Draft): string {
  const isBalancer = balancer.pools.size + balancer.listeners.size > 0;
  const isDns = dns.regions.size + dns.services.size + dns.zones.size > 0;
  const head = [
    `rhumb, made from a configuration of ${product}. All keys: docs/settings.md; \`rhumb check\` says what is wrong.`,
    "Name the node, and open the control API to whom you want: here it is a socket for this machine alone.",
    ...(isBalancer ? ["Name the region that this balancer stands in."] : []),
    ...(isDns ? ["A geo database (`geo.database`) tells where clients are: docs/going-live.md."] : []),
  ].join("\n");
  return yamlText(head, {
    version: 1,
    node: "node1",
    ...(isDns ? { dns: { listen: dns.listen.length > 0 ? dns.listen : ["127.0.0.1:5300"] } } : {}),
    control: { listen: "unix:run/rhumb.sock" },
    ...(isDns ? { zones: "zones/" } : {}),
    ...(dns.regions.size > 0 ? { geo: { regions: "geo-data/regions.yaml" }, health: { checks: "health/" } } : {}),
    ...(isBalancer
      ? {
          balancer: { region: "home", listeners: plainMap(balancer.listeners), pools: plainMap(balancer.pools) },
        }
      : {}),
  });
}

export function renderFiles(draft: Draft): ImportedFile[] {
  const { product, dns, checks } = draft;
  const files: ImportedFile[] = [{ path: "rhumb.yaml", text: rootText(draft) }];
  const from = `made from a configuration of ${product}`;
  if (dns.regions.size > 0)
    files.push({ path: "geo-data/regions.yaml", text: yamlText(`Regions, ${from}`, plainMap(dns.regions)) });
  if (dns.services.size > 0)
    files.push({ path: "zones/services.yaml", text: yamlText(`Services, ${from}`, plainMap(dns.services)) });
  if (dns.overrides.length > 0)
    files.push({
      path: "geo-data/overrides.yaml",
      text: yamlText(
        `Overrides, ${from}; the most specific wins`,
        dns.overrides.map(({ value }) => value),
      ),
    });
  for (const [name, { value }] of checks)
    files.push({ path: `health/${name}.yaml`, text: yamlText(`Check, ${from}`, value) });
  for (const [origin, lines] of dns.zones)
    files.push({
      path: `zones/${origin}.zone`,
      text: `; ${origin}, ${from}\n${lines.map(({ text }) => `${text}\n`).join("")}`,
    });
  return files;
}
