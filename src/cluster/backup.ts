/**
 * Backup and restore of a node: its store, the rest of its state, and its configuration, in one folder.
 *
 * Owns:    the layout of a backup: `manifest.json`, `store.db`, `state/…`, `config/…`. The manifest lists every file
 *          with its size and SHA-256; a restore that finds one missing or changed does nothing at all.
 * Never:   copies secrets: tokens and keys are not part of it, and the manifest says so.
 * @module
 */
import { createHash } from "node:crypto";
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { dirname, isAbsolute, join, relative, resolve, sep } from "node:path";
import type { Clock } from "#base/clock.ts";
import { RhumbError } from "#base/errors.ts";
import { openStore, STORE_FILE, type Store } from "#cluster/store.ts";

const FORMAT = 1;
type FileEntry = { readonly path: string; readonly octets: number; readonly sha256: string };
export type Manifest = {
  readonly format: number;
  readonly node: string;
  readonly atMs: number;
  readonly files: readonly FileEntry[];
  readonly note: string;
};

export type BackupOptions = {
  readonly node: string;
  readonly store: Store;
  readonly stateFolder: string;
  /** Files of the state folder that belong into a backup, such as the persisted health. */
  readonly stateFiles: readonly string[];
  /** Absolute paths of the configuration, and the folder that they are stored relative to. */
  readonly configFiles: readonly string[];
  readonly configFolder: string;
  /** Absolute paths that are never copied, wherever they lie. */
  readonly secretFiles: readonly string[];
  readonly target: string;
  readonly clock: Clock;
};

const digestOf = (file: string): string => createHash("sha256").update(readFileSync(file)).digest("hex");
const leavesFolder = (path: string): boolean => path === ".." || path.startsWith(`..${sep}`) || isAbsolute(path);

/**
 * Writes a backup while the node runs. The folder appears under its name only when it is whole.
 * @throws RhumbError RHUMB_CLUSTER_BACKUP_EXISTS when the target is already there
 */
export async function writeBackup(options: BackupOptions): Promise<Manifest> {
  const { target, stateFolder, configFolder } = options;
  if (existsSync(target)) throw new RhumbError("RHUMB_CLUSTER_BACKUP_EXISTS", target);
  const partial = `${resolve(target)}.partial`;
  rmSync(partial, { recursive: true, force: true });
  mkdirSync(partial, { recursive: true, mode: 0o700 });
  const files: FileEntry[] = [];
  const add = (path: string): void => {
    const full = join(partial, path);
    files.push({ path, octets: statSync(full).size, sha256: digestOf(full) });
  };
  const copy = (from: string, path: string): void => {
    mkdirSync(dirname(join(partial, path)), { recursive: true, mode: 0o700 });
    copyFileSync(from, join(partial, path));
    chmodSync(join(partial, path), 0o600);
    add(path);
  };
  await options.store.backupTo(join(partial, STORE_FILE));
  add(STORE_FILE);
  for (const name of options.stateFiles) {
    const file = join(stateFolder, name);
    if (existsSync(file) && !options.secretFiles.includes(file)) copy(file, join("state", name));
  }
  for (const file of options.configFiles) {
    const path = relative(configFolder, file);
    // A file that lies elsewhere (a certificate, a shared database) belongs to somebody else's backup.
    if (!leavesFolder(path) && existsSync(file) && !options.secretFiles.includes(file))
      copy(file, join("config", path));
  }
  const manifest: Manifest = {
    format: FORMAT,
    node: options.node,
    atMs: options.clock.nowMs(),
    files,
    note: "Secrets are not part of a backup: tokens, cookie secrets and keys have to be put back by hand",
  };
  writeFileSync(join(partial, "manifest.json"), `${JSON.stringify(manifest, null, 2)}\n`, { mode: 0o600 });
  renameSync(partial, target);
  return manifest;
}

/** @throws RhumbError RHUMB_CLUSTER_BACKUP_DAMAGED when a file is missing, changed, or outside of the folder */
export function readManifest(source: string): Manifest {
  let manifest: Manifest;
  try {
    manifest = JSON.parse(readFileSync(join(source, "manifest.json"), "utf8")) as Manifest;
    if (manifest.format !== FORMAT || !Array.isArray(manifest.files)) throw new Error("unknown format");
  } catch (error) {
    throw new RhumbError("RHUMB_CLUSTER_BACKUP_DAMAGED", source, { cause: error });
  }
  for (const { path, sha256 } of manifest.files) {
    const full = join(source, path);
    if (leavesFolder(relative(source, full)) || !existsSync(full) || digestOf(full) !== sha256)
      throw new RhumbError("RHUMB_CLUSTER_BACKUP_DAMAGED", full);
  }
  return manifest;
}

export type RestoreOptions = {
  readonly source: string;
  readonly stateFolder: string;
  /** Where the configuration goes; undefined: it is left alone. */
  readonly configFolder: string | undefined;
  /** Replace what is there. */
  readonly isForced: boolean;
  readonly clock: Clock;
};

/**
 * Puts a backup back; the node must not run. The store begins a new epoch, so that generations made after the backup
 * and lost with it are never mistaken for newer ones.
 *
 * @throws RhumbError RHUMB_CLUSTER_RESTORE_OCCUPIED when there is state already and it is not forced
 */
export function restoreBackup(options: RestoreOptions): {
  readonly manifest: Manifest;
  readonly epoch: number;
  readonly files: readonly string[];
} {
  const manifest = readManifest(options.source);
  const { stateFolder, configFolder } = options;
  const plan = manifest.files.flatMap(({ path }) => {
    const [kind, ...rest] = path.split(sep);
    if (path === STORE_FILE) return [{ path, to: join(stateFolder, STORE_FILE) }];
    if (kind === "state") return [{ path, to: join(stateFolder, ...rest) }];
    return configFolder === undefined ? [] : [{ path, to: join(configFolder, ...rest) }];
  });
  const occupied = plan.find(({ to }) => existsSync(to));
  if (occupied && !options.isForced) throw new RhumbError("RHUMB_CLUSTER_RESTORE_OCCUPIED", occupied.to);
  mkdirSync(stateFolder, { recursive: true, mode: 0o700 });
  // The log of the old store would be replayed into the restored one.
  for (const name of existsSync(stateFolder) ? readdirSync(stateFolder) : []) {
    if (name.startsWith(`${STORE_FILE}-`)) rmSync(join(stateFolder, name));
  }
  for (const { path, to } of plan) {
    mkdirSync(dirname(to), { recursive: true });
    copyFileSync(join(options.source, path), to);
  }
  const store = openStore({ folder: stateFolder, clock: options.clock });
  const epoch = store.beginEpoch();
  store.close();
  return { manifest, epoch, files: plan.map(({ to }) => to) };
}
