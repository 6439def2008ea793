/**
 * Who changed what through the API: JSON lines in a file, the last of them in memory for GET /audit.
 *
 * Owns:    `audit.jsonl` in the state folder, and its one predecessor `audit.jsonl.1`.
 * Writer:  `api/server.ts`, one entry per command and per refused token. Never: holds a secret or a body.
 * @module
 */
import { appendFileSync, readFileSync, renameSync, statSync } from "node:fs";
import type { AuditEntry } from "#api/views.ts";
import type { Log } from "#base/log.ts";

const KEPT_ENTRIES = 500;
const MAX_FILE_OCTETS = 8 * 1_048_576;

export type AuditLog = { add(entry: AuditEntry): void /** Newest first. */; list(): readonly AuditEntry[] };

/** @param file undefined: in memory alone. A file that cannot be written is logged once per entry, never thrown. */
export function createAuditLog(options: { file: string | undefined; log: Log }): AuditLog {
  const { file, log } = options;
  const kept: AuditEntry[] = file === undefined ? [] : readTail(file);
  return {
    add(entry) {
      kept.push(entry);
      if (kept.length > KEPT_ENTRIES) kept.shift();
      log.info({ audit: entry }, `${entry.name} ${entry.action} ${entry.subject}: ${entry.status}`);
      if (file === undefined) return;
      try {
        if ((statSync(file, { throwIfNoEntry: false })?.size ?? 0) > MAX_FILE_OCTETS) renameSync(file, `${file}.1`);
        appendFileSync(file, `${JSON.stringify(entry)}\n`, { mode: 0o600 });
      } catch (error) {
        log.error({ file, error: String(error) }, "The audit log cannot be written");
      }
    },
    list: () => kept.toReversed(),
  };
}

function readTail(file: string): AuditEntry[] {
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch {
    return []; // the first run
  }
  const entries: AuditEntry[] = [];
  for (const line of text.trimEnd().split("\n").slice(-KEPT_ENTRIES)) {
    try {
      entries.push(JSON.parse(line) as AuditEntry);
    } catch {
      // a line cut by a crash in the middle of a write
    }
  }
  return entries;
}
