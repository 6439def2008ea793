/**
 * The files of a configuration as they lie on this machine: secrets, state, certificate, geo databases.
 * @module
 */
import { X509Certificate } from "node:crypto";
import { existsSync } from "node:fs";
import { type GeoFacts, judgeCertificate, judgeGeo, judgeSecret, judgeStateFolder } from "#app/doctor/file-rules.ts";
import { type Finding, problem } from "#app/doctor/finding.ts";
import { readMode, readStateFolder, readText } from "#app/doctor/machine-facts.ts";
import type { ConfigFiles } from "#config/files.ts";
import { openAsnDatabase, openPlaceDatabase } from "#geo/database.ts";
import type { Snapshot } from "#state/snapshot.ts";

export function checkFiles(options: {
  snapshot: Snapshot;
  files: ConfigFiles;
  stateFolder: string;
  unit: string | undefined;
  nowMs: number;
}): Finding[] {
  const { snapshot, files, stateFolder, unit, nowMs } = options;
  const { control, geo } = snapshot;
  const secrets = new Set([...files.secretFiles, ...(control?.tls ? [control.tls.keyFile] : [])]);
  const findings = [...secrets].flatMap((file) => judgeSecret(file, readMode(file)));
  findings.push(judgeStateFolder(readStateFolder(stateFolder, unit)));
  if (control?.tls) findings.push(checkCertificate(control.tls.certFile, nowMs));
  const services = snapshot.services.filter(({ mapId }) => geo.maps.some((map) => map.mapId === mapId && map.usesGeo));
  if (geo.database === undefined) {
    const unset: GeoFacts = { state: "unset", services: services.map(({ name }) => name) };
    findings.push(...judgeGeo(unset, nowMs));
  }
  for (const [file, open] of [
    [geo.database, openPlaceDatabase],
    [geo.asnDatabase, openAsnDatabase],
  ] as const) {
    if (file !== undefined) findings.push(...judgeGeo(readGeo(file, open), nowMs));
  }
  return findings;
}

function checkCertificate(file: string, nowMs: number): Finding {
  try {
    return judgeCertificate(file, Date.parse(new X509Certificate(readText(file) ?? "").validTo), nowMs);
  } catch {
    const fix = "Write a chain in PEM there, readable to the user rhumb; `control.tls.cert` names it";
    return problem("tls", `${file} is not a certificate that this user can read`, fix);
  }
}

function readGeo(file: string, open: (file: string) => { type: string; builtAtMs: number }): GeoFacts {
  if (!existsSync(file)) return { state: "broken", file, says: `There is no geo database ${file}` };
  try {
    const { type, builtAtMs } = open(file);
    return { state: "loaded", file, type, builtAtMs };
  } catch (error) {
    const { message, cause } = error as Error;
    return { state: "broken", file, says: cause instanceof Error ? `${message}: ${cause.message}` : message };
  }
}
