/**
 * What files must be like: secrets, state folder, certificate, geo database. Facts in, findings out; pure.
 * @module
 */
import { type Finding, ok, problem, warning } from "#app/doctor/finding.ts";
import { unitValues } from "#app/doctor/machine-rules.ts";

const DAY_MS = 86_400_000;
const octal = (mode: number): string => (mode & 0o777).toString(8).padStart(3, "0");
const days = (ms: number): string => `${Math.floor(ms / DAY_MS)} days`;

/** @param mode permission bits; undefined: the file is not there, which `config` says already */
export function judgeSecret(file: string, mode: number | undefined): Finding[] {
  if (mode === undefined) return [];
  if ((mode & 0o007) !== 0)
    return [problem("secrets", `${file} has mode ${octal(mode)}: everybody may use it`, `chmod 600 ${file}`)];
  if ((mode & 0o020) !== 0)
    return [warning("secrets", `${file} has mode ${octal(mode)}: its group may change it`, `chmod 600 ${file}`)];
  return [ok("secrets", `${file} has mode ${octal(mode)}`)];
}

export type StateFolderFacts = {
  /** Absolute. */
  readonly folder: string;
  /** undefined: it will be made. */
  readonly mode: number | undefined;
  /** The folder, or where it will be made. */
  readonly isWritable: boolean;
  readonly unit: string | undefined;
};

export function judgeStateFolder({ folder, mode, isWritable, unit }: StateFolderFacts): Finding {
  if (!isWritable)
    return problem(
      "state",
      `${folder} cannot be written: overrides and health would be lost at a restart`,
      `sudo install -d -o rhumb -g rhumb -m 700 ${folder}`,
    );
  // Below ProtectSystem=strict everything is read-only but what the unit names (systemd.exec(5)).
  const writable = [
    ...unitValues(unit, "ReadWritePaths"),
    ...unitValues(unit, "StateDirectory").map((name) => `/var/lib/${name}`),
  ];
  const isNamed = writable.some((path) => folder === path || folder.startsWith(`${path}/`));
  if (unitValues(unit, "ProtectSystem").includes("strict") && !isNamed)
    return problem(
      "state",
      `rhumb.service may not write to ${folder}, only to ${writable.join(", ") || "nothing"}`,
      `Set \`cluster.state: ${writable[0] ?? "/var/lib/rhumb"}\` in rhumb.yaml, or add ReadWritePaths=${folder} to the unit`,
    );
  if (mode !== undefined && (mode & 0o007) !== 0)
    return warning("state", `${folder} has mode ${octal(mode)}: everybody may read it`, `chmod o-rwx ${folder}`);
  return ok("state", `${folder} can be written`);
}

/** Certificates are renewed a month or so ahead: what is left at two weeks was forgotten. */
const CERTIFICATE_WARN_MS = 14 * DAY_MS;
export function judgeCertificate(file: string, validToMs: number, nowMs: number): Finding {
  const leftMs = validToMs - nowMs;
  const fix = "Renew it and send SIGHUP (`systemctl reload rhumb`): connections stay up";
  if (leftMs <= 0) return problem("tls", `The certificate ${file} ran out ${days(-leftMs)} ago`, fix);
  if (leftMs < CERTIFICATE_WARN_MS) return warning("tls", `The certificate ${file} has ${days(leftMs)} left`, fix);
  return ok("tls", `The certificate ${file} has ${days(leftMs)} left`);
}

export type GeoFacts =
  | { readonly state: "unset"; readonly services: readonly string[] }
  | { readonly state: "broken"; readonly file: string; readonly says: string }
  | { readonly state: "loaded"; readonly file: string; readonly type: string; readonly builtAtMs: number };

/** As the alert of docs/metrics.md: MaxMind publishes twice a week. */
const GEO_MAX_AGE_MS = 45 * DAY_MS;
export function judgeGeo(facts: GeoFacts, nowMs: number): Finding[] {
  switch (facts.state) {
    case "unset":
      if (facts.services.length === 0) return [];
      return [
        warning(
          "geo",
          `There is no geo database, but ${facts.services.join(", ")} looks at where clients are: all get the default order`,
          "Set `geo.database`; docs/going-live.md says how geoipupdate fetches one",
        ),
      ];
    case "broken":
      return [
        problem("geo", facts.says, `Fetch it again (\`geoipupdate -v\`); \`rhumb geo lookup\` shows what a file says`),
      ];
    case "loaded": {
      const age = days(nowMs - facts.builtAtMs);
      if (nowMs - facts.builtAtMs > GEO_MAX_AGE_MS)
        return [
          warning(
            "geo",
            `${facts.file} (${facts.type}) was built ${age} ago`,
            "Look at `systemctl status geoipupdate.timer`, or fetch a new one: networks move between countries",
          ),
        ];
      return [ok("geo", `${facts.file} (${facts.type}) was built ${age} ago`)];
    }
    default:
      return facts satisfies never;
  }
}
