/**
 * What is said of backends: why one is in its state, and that it has changed.
 * @module
 */
import { formatDurationMs } from "#base/units.ts";
import type { BackendReason } from "#pool/backend-state.ts";
import type { Ejection, EjectionReason } from "#pool/outlier.ts";
import { BACKEND_STATE, type BackendState } from "#state/backend-table.ts";

const EJECTION_TEXT: Readonly<Record<EjectionReason, string>> = {
  "consecutive-5xx": "too many failures in a row",
  "consecutive-gateway-failure": "too many gateway failures in a row",
  "consecutive-local-origin-failure": "too many failed connections in a row",
  "success-rate": "its success rate lies far below that of the others",
  "local-origin-success-rate": "far fewer connections to it succeed than to the others",
  "failure-percentage": "too large a share of its requests fails",
};

/** @param verdict what the last verdict of its check rests on, where it is known */
export function causeText(reason: BackendReason, ejection: Ejection | undefined, verdict: string | undefined): string {
  switch (reason) {
    case "disabled":
      return "disabled in the configuration";
    case "override-down":
      return "override down";
    case "override-drain":
      return "override drain";
    case "override-up":
      return "override up";
    case "check-failed":
      return verdict ?? "its check fails";
    case "not-yet-probed":
      return verdict ?? "not yet probed";
    case "ejected":
      return ejection === undefined ? "ejected" : EJECTION_TEXT[ejection.reason];
    case "no-check":
      return "its check is not asked";
    case "healthy":
      return verdict ?? "its check passes";
    default:
      return reason satisfies never;
  }
}

/** @param rampMs how long slow start takes from now on; 0: none */
export function sayTransition(to: BackendState, cause: string, ejection: Ejection | undefined, rampMs: number): string {
  switch (to) {
    case BACKEND_STATE.active:
      return `is active (${cause})${rampMs === 0 ? "" : `, and takes its share step by step within ${formatDurationMs(rampMs)}`}`;
    case BACKEND_STATE.unknown:
      return "is not known yet: it gets clients only where no backend is healthy";
    case BACKEND_STATE.drain:
      return `drains (${cause})`;
    case BACKEND_STATE.maint:
      return `is in maintenance (${cause})`;
    case BACKEND_STATE.down:
      return `is down: ${cause}`;
    case BACKEND_STATE.ejected: {
      const lastsMs = ejection === undefined ? 0 : ejection.untilMs - ejection.sinceMs;
      return `is ejected for ${formatDurationMs(Math.round(lastsMs / 1_000) * 1_000)}: ${cause}`;
    }
    case BACKEND_STATE.none:
      return "was removed";
    default:
      return to satisfies never;
  }
}
