/** `rhumb start`, `demo`, `answer`, `doctor`: what the app does; loaded when asked for, so that help stays quick. @module */
import type { Command } from "commander";
import { command, type Exit, wrongUse } from "#cli/command.ts";
import { demoCommands } from "#cli/commands/override.ts";

const LOG_LEVELS = ["debug", "info", "warn", "error"];

export function startCommand(exit: Exit): Command {
  return command("start", "run the roles of a configuration until SIGTERM", "rhumb start -c /etc/rhumb/rhumb.yaml")
    .option("-c, --config <file>", "path of rhumb.yaml", "rhumb.yaml")
    .option("--log-level <level>", LOG_LEVELS.join(", "), "info")
    .option("--log-format <format>", "json or text (default: text on a terminal)")
    .action(async ({ config, logLevel, logFormat }: { config: string; logLevel: string; logFormat?: string }) => {
      if (!LOG_LEVELS.includes(logLevel)) wrongUse(`--log-level ${logLevel}: ${LOG_LEVELS.join(", ")}`);
      const format = logFormat ?? (process.stdout.isTTY ? "text" : "json");
      if (format !== "json" && format !== "text") return wrongUse(`--log-format ${format}: json or text`);
      const { start } = await import("#app/start.ts");
      exit(await start({ config, logLevel, logFormat: format }));
    });
}

export function demoCommand(exit: Exit): Command {
  const demo = command(
    "demo",
    "the demo world on loopback: DNS, three regions, control API",
    "rhumb demo\nrhumb demo kill eu-west\nrhumb demo heal eu-west",
  )
    .option(
      "--port-base <port>",
      "use this port for DNS and the ones above it for the rest, where 5300 and 8053 are taken",
    )
    .option("--run <folder>", "where token, store and log go (default: run/ beside rhumb.yaml)")
    .action(async ({ portBase, run }: { portBase?: string; run?: string }) => {
      const port = portBase === undefined ? undefined : Number(portBase);
      if (port !== undefined && !(Number.isInteger(port) && port >= 1 && port <= 65_000))
        wrongUse(`--port-base ${portBase}: 1 to 65000`);
      const { demo: runDemo } = await import("#app/demo.ts");
      exit(await runDemo({ portBase: port, run }));
    });
  for (const child of demoCommands()) demo.addCommand(child);
  return demo;
}

export function answerCommand(exit: Exit): Command {
  return command(
    "answer",
    "answer queries from a configuration, without sockets",
    "rhumb answer -c rhumb.yaml www.demo.example A --from 198.51.100.7\nrhumb answer --jsonl < queries.jsonl",
  )
    .argument("[name]", "domain name")
    .argument("[type]", "record type", "A")
    .option("-c, --config <file>", "path of rhumb.yaml", "rhumb.yaml")
    .option("--from <net>", "the client: network as ECS carries it, or address", "127.0.0.1")
    .option("--jsonl", 'in bulk: {"zone", "query": {"Name", "Type"}} per line of standard input, answers as JSON lines')
    .option("--json", "print the answer as JSON")
    .action(
      async (
        name: string | undefined,
        type: string,
        options: { config: string; from: string; jsonl?: boolean; json?: boolean },
      ) => {
        if (name === undefined && options.jsonl !== true) wrongUse("`rhumb answer` without a name");
        const { answer } = await import("#app/answer.ts");
        exit(
          await answer({
            config: options.config,
            name,
            type,
            from: options.from,
            jsonl: options.jsonl === true,
            json: options.json === true,
          }),
        );
      },
    );
}

export function doctorCommand(exit: Exit): Command {
  return command(
    "doctor",
    "check machine, configuration, peers and delegation; each finding with its fix",
    "rhumb doctor -c /etc/rhumb/rhumb.yaml",
  )
    .option("-c, --config <file>", "path of rhumb.yaml", "rhumb.yaml")
    .option(
      "--resolver <address>",
      "recursive resolver that finds the parent zone, ADDRESS or ADDRESS:PORT (default: the system's)",
    )
    .option("--json", "print findings as JSON")
    .action(async ({ config, json, resolver }: { config: string; json?: boolean; resolver?: string }) => {
      const { doctor } = await import("#app/doctor.ts");
      exit(await doctor({ config, json: json === true, resolver }));
    });
}
