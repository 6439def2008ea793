/**
 * What the loader reads from disk, and the pure rest of `config/` works on.
 *
 * Owns:    the types. Writer: `config/load.ts`; tests write them by hand.
 * @module
 */
import type { Shadow } from "#config/pushed.ts";
import type { Place } from "#config/read-text.ts";
import type { Path } from "#config/yaml.ts";
import type { LoadedZone } from "#config/zones.ts";
import type { UpstreamRow } from "#state/upstreams.ts";

export type TextFile = {
  /** As it stands in messages: the way the operator wrote the path of rhumb.yaml, plus what follows. */
  readonly file: string;
  readonly text: string;
};
/** What could not be read, and which setting named it. */
export type UnreadableFile = { readonly path: Path; readonly says: string; readonly fix: string };
export type Secret = { readonly value: string } | { readonly fault: string };
export type ScriptFile = { readonly path: string } | { readonly fault: string; readonly fix: string };

/** A certificate with its key, as far as they can be used: who serves it reads the files itself. */
export type CertificateFacts =
  | { readonly notAfterMs: number }
  | { readonly setting: "cert" | "key"; readonly fault: string; readonly fix: string };
/** Key of `ConfigFiles.certificates`. */
export const certificateKey = (cert: string, key: string): string => `${cert}\0${key}`;

/** What the DNS says of one host name or of SRV records; port, weight and priority are those of SRV. */
export type ResolvedName = {
  readonly address: string;
  readonly port?: number;
  readonly weight?: number;
  readonly priority?: number;
};

export type ZoneFile = TextFile & {
  /** The file's name without `.zone`, with the root dot. */
  readonly origin: string;
  /** What was made of its text where that was read; `text` is then empty. */
  readonly loaded?: LoadedZone;
};

export type UnreadZones = {
  readonly place: Place;
  /** Folder of the zones, as configured. */
  readonly zonesPath: string;
  /** Files in it. */
  readonly names: readonly string[];
};

/** `$INCLUDE` of a zone file with its file name, quoted or not. */
export const INCLUDE_PATTERN = /^[ \t]*\$INCLUDE[ \t]+(?:"([^"]+)"|([^\s;]+))/gim;

export type ConfigFiles = {
  readonly root: TextFile;
  /** Absolute folder of rhumb.yaml: relative paths start here. */
  readonly folder: string;
  readonly regions: TextFile | undefined;
  readonly services: TextFile | undefined;
  readonly geoOverrides: TextFile | undefined;
  readonly healthOverrides: (TextFile & { readonly changedAtMs: number }) | undefined;
  /** One check a file; the file's name without `.yaml` is the check's name. */
  readonly checks: readonly (TextFile & { readonly name: string })[];
  readonly zones: readonly ZoneFile[];
  /** Opens what a zone file includes; stays within the folder of the zones. */
  readonly include: (path: string, from: string) => TextFile | undefined;
  /** Zone files that are too much to be read in passing: `app/zone-loader.ts` reads them before anything is compiled. */
  readonly unread?: UnreadZones | undefined;
  /** By reference (`env:NAME`, `file:PATH`). */
  readonly secrets: ReadonlyMap<string, Secret>;
  /** Programs of script checks, by the name that the check gives. */
  readonly scripts: ReadonlyMap<string, ScriptFile>;
  /** Of listeners, by `certificateKey()` of the paths as configured. */
  readonly certificates: ReadonlyMap<string, CertificateFacts>;
  /** By lower-case host name or SRV name; what is not in it has no answer yet. Left out: nobody has asked. */
  readonly names?: ReadonlyMap<string, readonly ResolvedName[]>;
  /** By pool: what the table of `balancer.source` says. Left out: nobody has asked. */
  readonly upstreams?: ReadonlyMap<string, readonly UpstreamRow[]>;
  /** Databases that are named and missing: an alarm, never a refusal. */
  readonly missingDatabases: readonly { readonly path: Path; readonly file: string }[];
  readonly unreadable: readonly UnreadableFile[];
  /** Texts that were pushed to all nodes and serve in the place of files. */
  readonly shadows?: readonly Shadow[];
  /** Absolute paths of the texts that were read, without secrets: what a backup takes. */
  readonly sources: readonly string[];
  /** Absolute paths of the files that hold secrets: what a backup never takes. */
  readonly secretFiles: readonly string[];
  /** Absolute paths: of all that was read or looked for, of the folders that were listed, and of all folders of both. */
  readonly watched: {
    readonly files: readonly string[];
    readonly listed: readonly string[];
    readonly folders: readonly string[];
  };
  /** SHA-256 over all that was read: equal digest, equal configuration. */
  readonly digest: string;
};
