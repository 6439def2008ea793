/**
 * The formats that can be imported, by the word of the command line.
 * @module
 */
import { importGdnsd } from "#config/import/gdnsd.ts";
import { importHaproxy } from "#config/import/haproxy.ts";
import { importNginx } from "#config/import/nginx.ts";
import { importRoute53 } from "#config/import/route53.ts";
import type { Imported } from "#config/import/settle.ts";
import type { Sources } from "#config/import/sources.ts";

export const IMPORT_FORMATS = {
  haproxy: importHaproxy,
  nginx: importNginx,
  gdnsd: importGdnsd,
  route53: importRoute53,
} as const satisfies Record<string, (sources: Sources) => Imported>;
export type ImportFormat = keyof typeof IMPORT_FORMATS;
