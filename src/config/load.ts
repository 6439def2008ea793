/**
 * Reads everything that a configuration is made of, with `read-text.ts` and `zone-files.ts`: what comes after is pure.
 *
 * Never:   judges what it reads. What cannot be read becomes an entry of `unreadable`, and compile reports it.
 * @module
 */
import { existsSync, readFileSync, realpathSync, statSync } from "node:fs";
import { basename, dirname, join, normalize, resolve } from "node:path";
import { RhumbError } from "#base/errors.ts";
import { SECRET_PATTERN } from "#base/field.ts";
import type { Problem } from "#base/problem.ts";
import { pemFilesOfCluster, secretsOfCluster } from "#config/check-cluster.ts";
import {
  type CertificateFacts,
  type ConfigFiles,
  certificateKey,
  type ScriptFile,
  type Secret,
  type TextFile,
} from "#config/files.ts";
import { pemFilesOf, secretsOfBalancer } from "#config/http-parts.ts";
import { parseRoot, type RootConfig } from "#config/parse.ts";
import { layerOf, type Pushed, type PushedTexts } from "#config/pushed.ts";
import { readCertificate } from "#config/read-certificate.ts";
import { createTextReader, isInside, messageOf, type Place } from "#config/read-text.ts";
import { type Path, parseYaml } from "#config/yaml.ts";
import { readZoneFiles } from "#config/zone-files.ts";

export type LoadOptions = {
  /** Where `env:NAME` is looked up. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** Where zone files have more octets than this together, they are left unread (`ConfigFiles.unread`). */
  readonly maxZoneOctets?: number;
  /** What was pushed to all nodes lies over the files. */
  readonly pushed?: (PushedTexts & Partial<Pushed>) | undefined;
};

/** Whether rhumb.yaml itself says it, rather than a default. */
function isWritten(root: RootConfig, path: Path): boolean {
  let value: unknown = root.source.value;
  for (const step of path) value = (value as Record<string, unknown> | null | undefined)?.[step];
  return value !== undefined;
}

/** The name and the file of each secret that the configuration refers to. */
function secretsOf(root: RootConfig): string[] {
  const references = new Set<string>();
  for (const { token } of Object.values(root.control?.tokens ?? {})) references.add(token);
  for (const { token } of Object.values(root.control?.peers ?? {})) references.add(token);
  for (const reference of root.dns?.cookies.secrets ?? []) references.add(reference);
  for (const { reference } of secretsOfCluster(root)) if (SECRET_PATTERN.test(reference)) references.add(reference);
  if (root.rum) references.add(root.rum.key);
  if (root.balancer) for (const { value } of secretsOfBalancer(root.balancer)) references.add(value);
  for (const sink of root.notify.values()) {
    if ("url" in sink && /^(env|file):/.test(sink.url)) references.add(sink.url);
    if (sink.kind === "webhook") for (const value of Object.values(sink.headers)) references.add(value);
  }
  return [...references];
}

/**
 * @param configPath path of rhumb.yaml; messages show files the way this is written
 * @throws RhumbError RHUMB_CONFIG_UNREADABLE when rhumb.yaml itself cannot be read
 */
export function loadConfig(configPath: string, options: LoadOptions = {}): ConfigFiles {
  const env = options.env ?? process.env;
  const folder = dirname(resolve(configPath));
  const shownFolder = dirname(configPath);
  const reader = createTextReader({ folder, shownFolder });
  const { absolute, shown, readText, read, list, hash, folders, unreadable } = reader;
  const files: string[] = [];
  const secretFiles: string[] = [];
  folders.add(folder);

  let rootText: string;
  try {
    rootText = readText(basename(configPath));
  } catch (error) {
    throw new RhumbError("RHUMB_CONFIG_UNREADABLE", configPath, { cause: error });
  }
  const rootFile: TextFile = { file: normalize(configPath), text: rootText };
  // Its problems are reported by `parseConfig`; here only its paths are needed.
  const root = parseRoot(rootFile, []);
  const layer = options.pushed && layerOf(options.pushed, root, absolute);
  if (layer) reader.lay(layer);
  const place: Place = { folder, shownFolder, ...(layer && { layer }) };

  const zoneNames = root.hasDns ? list(root.zones, ".zone", ["zones"]) : [];
  const zoneReader = createTextReader(place);
  const zoneFiles = readZoneFiles(place, root.zones, zoneNames, zoneReader, options.maxZoneOctets);
  const checkFolder = root.health?.checks ?? "health/";
  const hasCheckFolder = existsSync(absolute(checkFolder)) || reader.hasPushed(absolute(checkFolder));
  const checks = (hasCheckFolder ? list(checkFolder, ".yaml", ["health", "checks"]) : [])
    .filter((name) => name !== "overrides.yaml")
    .flatMap((name) => {
      const file = read(join(checkFolder, name), ["health", "checks"], false);
      return file ? [{ ...file, name: basename(name, ".yaml") }] : [];
    });
  if (!hasCheckFolder && isWritten(root, ["health", "checks"]))
    unreadable.push({
      path: ["health", "checks"],
      says: `There is no folder ${shown(checkFolder)}`,
      fix: "Create it, or correct the path",
    });
  const overridesPath = join(checkFolder, "overrides.yaml");
  const overrides = read(overridesPath, ["health", "checks"], true);

  const secrets = new Map<string, Secret>();
  for (const reference of secretsOf(root)) {
    const secret = readSecret(reference, env, absolute);
    secrets.set(reference, secret);
    hash.update(`${reference}\0${"value" in secret ? secret.value : ""}`);
    if (reference.startsWith("file:")) {
      files.push(absolute(reference.slice(5)));
      secretFiles.push(absolute(reference.slice(5)));
      folders.add(dirname(absolute(reference.slice(5))));
    }
  }

  // The API reads these itself; they are watched here, so that a renewed certificate is taken without a word from anybody.
  for (const path of [root.control?.tls, root.rum?.tls].flatMap((tls) => (tls ? [tls.cert, tls.key] : []))) {
    const full = absolute(path);
    files.push(full);
    folders.add(dirname(full));
    hash.update(`${full}\0`).update(readOrNothing(full));
  }

  const certificates = new Map<string, CertificateFacts>();
  for (const { cert, key } of certificatesOf(root)) {
    const [certFile, keyFile] = [absolute(cert), absolute(key.replace(/^file:/, ""))];
    const facts = readCertificate(certFile, keyFile, (path) => (path === certFile ? shown(cert) : shown(key)));
    certificates.set(certificateKey(cert, key), facts);
    // Who serves it reads the files: they are watched and hashed here, so that a renewed one is taken without a word.
    for (const full of [certFile, keyFile]) {
      files.push(full);
      folders.add(dirname(full));
      hash.update(`${full}\0`).update(readOrNothing(full));
    }
    secretFiles.push(keyFile);
  }

  // Likewise what backends and Redis are verified with.
  const pemFiles = [...(root.balancer ? pemFilesOf(root.balancer) : []), ...pemFilesOfCluster(root)];
  for (const { path, value, isSecret } of pemFiles) {
    const full = absolute(value);
    files.push(full);
    folders.add(dirname(full));
    hash.update(`${full}\0`).update(readOrNothing(full));
    if (isSecret) secretFiles.push(full);
    if (!existsSync(full))
      unreadable.push({ path, says: `There is no file ${shown(value)}`, fix: "Create it, or correct the path" });
  }

  const scripts = new Map<string, ScriptFile>();
  for (const check of checks) {
    const name = scriptName(check);
    if (name === undefined) continue;
    const script = findScript(absolute(checkFolder), name);
    scripts.set(name, script);
    hash.update(JSON.stringify([name, script]));
    if ("path" in script) files.push(script.path);
  }

  const missingDatabases = (["database", "asn"] as const).flatMap((key) => {
    const file = root.geo?.[key];
    return file && !existsSync(absolute(file)) ? [{ path: ["geo", key], file: shown(file) }] : [];
  });

  if (zoneFiles) {
    hash.update(zoneReader.hash.digest());
    files.push(...zoneReader.identities.keys());
    for (const path of zoneReader.folders) folders.add(path);
    reader.sources.push(...zoneReader.sources);
    unreadable.push(...zoneReader.unreadable);
    reader.shadows.push(...zoneReader.shadows);
  }

  const changedAtMs = overrides ? statSync(absolute(overridesPath)).mtimeMs : 0;
  const regionsPath = root.geo?.regions ?? "geo-data/regions.yaml";
  return {
    root: rootFile,
    folder,
    regions: read(regionsPath, ["geo", "regions"], !isWritten(root, ["geo", "regions"])),
    services: read(join(root.zones, "services.yaml"), ["zones"], true),
    geoOverrides: read(root.geo?.overrides ?? "geo-data/overrides.yaml", ["geo", "overrides"], true),
    healthOverrides: overrides ? { ...overrides, changedAtMs } : undefined,
    checks,
    zones: zoneFiles?.zones ?? [],
    include: zoneFiles?.include ?? (() => undefined),
    unread: zoneFiles ? undefined : { place, zonesPath: root.zones, names: zoneNames },
    secrets,
    scripts,
    certificates,
    missingDatabases,
    unreadable,
    shadows: reader.shadows,
    sources: reader.sources,
    secretFiles,
    watched: {
      files: [...reader.identities.keys(), ...files],
      listed: reader.listed,
      folders: [...folders].filter((path) => existsSync(path)),
    },
    digest: hash.digest("hex"),
  };
}

/** Whoever needs the file says what is wrong with it. */
function readOrNothing(full: string): Buffer {
  try {
    return readFileSync(full);
  } catch {
    return Buffer.alloc(0);
  }
}

/** Certificates of all listeners, as configured. */
const certificatesOf = (root: RootConfig) =>
  [...(root.balancer?.listeners.valid.values() ?? [])].flatMap(({ certificates }) => certificates);

const MAX_SECRET_OCTETS = 65_536;
function readSecret(reference: string, env: LoadOptions["env"] & {}, absolute: (path: string) => string): Secret {
  if (reference.startsWith("env:")) {
    const value = env[reference.slice(4)];
    return value ? { value } : { fault: `the environment variable ${reference.slice(4)} is not set` };
  }
  const path = reference.slice(5);
  try {
    const full = absolute(path);
    if (statSync(full).size > MAX_SECRET_OCTETS) return { fault: `${path} is larger than ${MAX_SECRET_OCTETS} octets` };
    const value = readFileSync(full, "utf8").trim();
    return value === "" ? { fault: `${path} is empty` } : { value };
  } catch (error) {
    const isMissing = (error as NodeJS.ErrnoException).code === "ENOENT";
    return { fault: isMissing ? `there is no file ${path}` : `cannot read ${path}: ${messageOf(error)}` };
  }
}

function scriptName(check: TextFile): string | undefined {
  const value = parseYaml(check.file, check.text, [] as Problem[]).value as Record<string, unknown> | null | undefined;
  return value?.["kind"] === "script" && typeof value["file"] === "string" ? value["file"] : undefined;
}

/** Ruling of script checks: only files that really lie in the checks folder, executable, and not everybody's to change. */
function findScript(checkFolder: string, name: string): ScriptFile {
  try {
    const path = realpathSync(resolve(checkFolder, name));
    if (!isInside(realpathSync(checkFolder), path))
      return {
        fault: `${name} lies outside of the folder of the checks`,
        fix: "Put the program into the folder of the checks",
      };
    const status = statSync(path);
    if (!status.isFile()) return { fault: `${name} is not a file`, fix: "Name a program in the folder of the checks" };
    if ((status.mode & 0o111) === 0) return { fault: `${name} is not executable`, fix: `Run chmod +x on it` };
    if ((status.mode & 0o002) !== 0)
      return { fault: `${name} may be changed by everybody`, fix: "Run chmod o-w on it" };
    if ((statSync(dirname(path)).mode & 0o1002) === 0o002)
      return { fault: `the folder of ${name} may be changed by everybody`, fix: "Run chmod o-w on the folder" };
    return { path };
  } catch (error) {
    const isMissing = (error as NodeJS.ErrnoException).code === "ENOENT";
    return {
      fault: isMissing ? `there is no program ${name} in the folder of the checks` : messageOf(error),
      fix: "Put the program into the folder of the checks",
    };
  }
}
