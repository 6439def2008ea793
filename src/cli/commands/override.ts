/** `rhumb override`, `failback`, `demo kill|heal`, `notify test`: what an operator says to a running node. @module */
import { Command, Option } from "commander";
import { parseDurationMs } from "#base/units.ts";
import { userName } from "#base/user-name.ts";
import { type ApiOptions, apiCommand, clientFor, type Exit, wrongUse } from "#cli/command.ts";
import { formatSpan, plain, say, sayJson, table } from "#cli/output.ts";
import type { Override } from "#cli/shapes.ts";

type SetOptions = ApiOptions & {
  reason: string;
  for?: string;
  until?: string;
  owner?: string;
  force?: boolean;
  weight?: string;
};

const VERBS = [
  { verb: "up", says: "answer with the target whatever the probes say" },
  { verb: "down", says: "take the target out of the answers" },
  { verb: "drain", says: "send no new clients to the target" },
  { verb: "ignore-health", says: "keep the target in its place, as if it had no check" },
] as const;

function endOf({ for: span, until }: SetOptions): { forMs?: number; untilMs?: number } {
  if (span !== undefined) {
    const forMs = parseDurationMs(span);
    return forMs === undefined ? wrongUse(`--for ${span}: write 30m, 2h or 1d`) : { forMs };
  }
  if (until === undefined) return {};
  const untilMs = /^\d{4}-\d{2}-\d{2}/.test(until) ? Date.parse(until) : Number.NaN;
  return Number.isNaN(untilMs) ? wrongUse(`--until ${until}: write a time such as 2027-01-01T00:00:00Z`) : { untilMs };
}

function setCommand(verb: string, says: string): Command {
  const weight = verb === "drain" ? " --weight 10" : "";
  const made = apiCommand(verb, says, `rhumb override ${verb} eu-west --reason "kernel upgrade" --for 2h${weight}`)
    .argument("<target>", "region, region/eu-*, backend/web/10.0.0.1:80; a bare name is a region")
    .requiredOption("--reason <text>", "why; everybody sees it")
    .addOption(new Option("--for <duration>", "how long, such as 30m or 2h (default: 4h)").conflicts("until"))
    .option("--until <time>", "until when, RFC 3339")
    .option("--owner <name>", "who answers for it (default: this system user)")
    .option("--force", "also when no region would be left, nothing matches yet, or a safety rule forbids it");
  if (verb === "drain") made.option("--weight <percent>", "share that the target keeps", "0");
  return made.action(async (target: string, options: SetOptions) => {
    const weightPercent = Number(options.weight ?? 0);
    if (!Number.isInteger(weightPercent) || weightPercent < 0 || weightPercent > 100)
      wrongUse(`--weight ${options.weight}: 0 to 100`);
    const owner = options.owner ?? userName();
    const body = {
      target,
      verb,
      weightPercent,
      reason: options.reason,
      owner,
      force: options.force === true,
      ...endOf(options),
    };
    const answer = (await clientFor(options).call("POST", "/overrides", body)) as Override;
    if (options.json) return sayJson(answer);
    const names = answer.matches.map(plain).join(", ") || "nothing yet";
    const span = answer.untilMs === null ? "until cleared" : `for ${formatSpan(answer.untilMs - Date.now())}`;
    say(`${plain(answer.target)} is ${answer.verb} ${span} (${names})`);
    say(`End it with: rhumb override clear ${answer.id}`);
  });
}

export function overrideCommand(): Command {
  const group = new Command("override").description(
    "say that a target is up, down or draining, whatever the probes say",
  );
  group.addHelpText("after", '\nExample:\n  rhumb override down eu-west --reason "fire drill" --for 30m');
  for (const { verb, says } of VERBS) group.addCommand(setCommand(verb, says));
  group.addCommand(
    apiCommand("list", "overrides in the order in which they apply; the last match wins", "rhumb override list").action(
      async (options: ApiOptions) => {
        const list = (await clientFor(options).call("GET", "/overrides")) as Override[];
        if (options.json) return sayJson(list);
        if (list.length === 0) return say("no overrides");
        const rows = list.map(({ id, target, verb, weightPercent, untilMs, owner, origin, reason }) => [
          id,
          target,
          verb === "drain" && weightPercent > 0 ? `drain=${weightPercent}` : verb,
          untilMs === null ? "-" : formatSpan(untilMs - Date.now()),
          owner,
          origin,
          reason,
        ]);
        say(table(["ID", "TARGET", "VERB", "ENDS IN", "OWNER", "ORIGIN", "REASON"], rows));
      },
    ),
  );
  group.addCommand(
    apiCommand("clear", "end an override that was set through the API", "rhumb override clear o1")
      .argument("<id>", "its id, as `rhumb override list` shows it")
      .action(async (id: string, options: ApiOptions) => {
        const cleared = (await clientFor(options).call("DELETE", `/overrides/${encodeURIComponent(id)}`)) as Override;
        if (options.json) sayJson(cleared);
        else say(`${plain(cleared.target)} is no longer ${cleared.verb}`);
      }),
  );
  return group;
}

export function failbackCommand(): Command {
  const group = new Command("failback").description("the return of regions whose failback is manual");
  group.addHelpText("after", "\nExample:\n  rhumb failback approve eu-west");
  return group.addCommand(
    apiCommand("approve", "let a region that has recovered take clients again", "rhumb failback approve eu-west")
      .argument("<region>", "id of the region")
      .action(async (region: string, options: ApiOptions) => {
        const path = `/regions/${encodeURIComponent(region)}/failback`;
        const answer = (await clientFor(options).call("POST", path)) as { says: string };
        if (options.json) sayJson(answer);
        else say(plain(answer.says));
      }),
  );
}

export function notifyCommand(exit: Exit): Command {
  const group = new Command("notify").description("notifiers: who is told of alarms");
  group.addHelpText("after", "\nExample:\n  rhumb notify test");
  return group.addCommand(
    apiCommand("test", "send a test message to one notifier, or to all", "rhumb notify test pager")
      .argument("[name]", "its name in notify:")
      .action(async (name: string | undefined, options: ApiOptions) => {
        const body = name === undefined ? {} : { name };
        const answer = (await clientFor(options).call("POST", "/notify/test", body)) as {
          name: string;
          isDelivered: boolean;
          says: string;
        }[];
        if (answer.some(({ isDelivered }) => !isDelivered)) exit(1);
        if (options.json) return sayJson(answer);
        if (answer.length === 0) return say("no notifiers: the configuration has no notify:");
        say(
          table(
            ["NOTIFIER", "DELIVERED", "SAYS"],
            answer.map((row) => [row.name, row.isDelivered ? "yes" : "no", row.says]),
          ),
        );
      }),
  );
}

/** `demo kill` and `demo heal`; `demo` itself runs the world. */
export const demoCommands = (): Command[] =>
  (["kill", "heal"] as const).map((verb) =>
    apiCommand(
      verb,
      verb === "kill"
        ? "kill a demo region, or one of its backends"
        : "start a demo region, or one of its backends, again",
      `rhumb demo ${verb} eu-west`,
    )
      .argument("<region>", "us-east, eu-west or ap-south; or a backend of one, such as eu-west/1")
      .action(async (region: string, options: ApiOptions) => {
        const answer = (await clientFor(options).call("POST", `/demo/${encodeURIComponent(region)}/${verb}`)) as {
          says: string;
        };
        if (options.json) sayJson(answer);
        else say(plain(answer.says));
      }),
  );
