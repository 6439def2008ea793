/**
 * Steps and their effects as people say them.
 * @module
 */
import { targetKind } from "#drill/actions.ts";
import { durationText, shareText } from "#drill/report/words.ts";
import type { Step } from "#drill/scenario.ts";

/** `region/eu-west` → `eu-west`; `backend/eu-west/1` → `backend 1 of eu-west`. */
export function targetName(target: string): string {
  const [, name = "", index] = target.split("/");
  switch (targetKind(target)) {
    case "region":
    case "node":
      return name;
    case "backend":
      return `backend ${index} of ${name}`;
    case "balancer":
      return `the balancer of ${name}`;
    case "exabgp":
      return `the ExaBGP of ${name}`;
    case "vantage":
      return `vantage ${name}`;
    case "nodes":
      return "all DNS nodes";
    case "balancers":
      return "all balancers";
    case "redis":
      return "Redis";
    case undefined:
      return target;
  }
}

/** One sentence in the past, without its full stop: `eu-west was killed`. */
export function stepSays({ action, target, options }: Pick<Step, "action" | "target" | "options">): string {
  const name = targetName(target);
  const are = targetKind(target)?.endsWith("s") && target !== "redis" ? "were" : "was";
  const ms = durationText(Number(options["ms"]));
  switch (action) {
    case "kill":
      return `${name} ${are} killed`;
    case "pause":
      return `${name} ${are} frozen`;
    case "partition":
      return `packets to ${name} vanished`;
    case "slow":
      return `${name} answered ${ms} late`;
    case "error-rate":
      return `${shareText(Number(options["share"]))} of the responses of ${name} were errors`;
    case "overload":
      return `demand on ${name} grew ${options["factor"]} times`;
    case "flap":
      return `${name} went down and up ${options["times"]} times`;
    case "drain":
      return `${name} ${are} drained`;
    case "evacuate":
      return `${name} ${are} evacuated`;
    case "withdraw":
      return `the anycast address was withdrawn in ${name}`;
    case "kill-exabgp":
    case "kill-redis":
    case "lose-node":
      return `${name} ${are} killed`;
    case "sick-vantage":
      return `all probes of ${name} failed`;
    case "stale-map":
      return `${name} had an old client map`;
    case "bad-config":
      return options["change"] === "empty"
        ? `a configuration that takes all answers away was pushed to ${name}`
        : `a broken configuration was pushed to ${name}`;
    case "skew-clock":
      return `the clock of ${name} was off by ${ms}`;
    case "upgrade":
      return `${name} ${are} replaced by fresh processes`;
    case "heal":
      return `${name} ${are} healed`;
    default:
      return action satisfies never;
  }
}
