/** `rhumb drain start|stop`: takes a node out of service and back, without ending it. @module */
import { Command } from "commander";
import { type ApiOptions, apiCommand, clientFor } from "#cli/command.ts";
import { plain, say, sayJson } from "#cli/output.ts";

type Drain = { readonly isDraining: boolean; readonly owner: string | null; readonly reason: string | null };

export function drainCommand(): Command {
  const group = new Command("drain").description("have this node say that it is not ready, and go on serving");
  group.addHelpText("after", '\nExample:\n  rhumb drain start --reason "kernel upgrade"');
  group.addCommand(
    apiCommand(
      "start",
      "/readyz says no: the VIP or the route moves away; until the next start of the process",
      'rhumb drain start --reason "kernel upgrade"',
    )
      .option("--reason <text>", "why; everybody sees it")
      .action(async ({ reason, ...options }: ApiOptions & { reason?: string }) => {
        const body = reason === undefined ? {} : { reason };
        const drain = (await clientFor(options).call("POST", "/drain", body)) as Drain;
        if (options.json) return sayJson(drain);
        const why = drain.reason === null ? "" : ` (${drain.reason})`;
        say(`${plain(`Draining by ${drain.owner}${why}`)}: /readyz says no, and who comes is served`);
        say("End it with: rhumb drain stop");
      }),
  );
  group.addCommand(
    apiCommand("stop", "end what `rhumb drain start` began", "rhumb drain stop").action(async (options: ApiOptions) => {
      const drain = (await clientFor(options).call("DELETE", "/drain")) as Drain;
      if (options.json) sayJson(drain);
      else say("No longer draining");
    }),
  );
  return group;
}
