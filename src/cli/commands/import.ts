/** `rhumb import haproxy|nginx|gdnsd|route53`: configurations of other products as ours. @module */
import { Command } from "commander";
import { command, type Exit } from "#cli/command.ts";
import { complain, plain, say, sayJson } from "#cli/output.ts";
import type { ImportFormat } from "#config/import/formats.ts";

type Options = {
  readonly out?: string;
  readonly force?: boolean;
  readonly json?: boolean;
  readonly zones?: string;
  readonly healthChecks?: string;
};

async function run(format: ImportFormat, file: string, options: Options, exit: Exit): Promise<void> {
  const [{ IMPORT_FORMATS }, { readSources }, { streamText, writeImported }, { formatNote }, { summaryText }] =
    await Promise.all([
      import("#config/import/formats.ts"),
      import("#config/import/read-sources.ts"),
      import("#config/import/write-files.ts"),
      import("#config/import/notes.ts"),
      import("#config/check-config.ts"),
    ]);
  const extra = [options.zones, options.healthChecks].filter((path) => path !== undefined);
  const { files, notes, summary } = IMPORT_FORMATS[format](readSources(file, { extra }));
  if (files.length === 0) exit(1);
  if (options.out !== undefined && files.length > 0) writeImported(files, options.out, options.force === true);
  if (options.json) {
    sayJson({ files, notes, summary });
    return;
  }
  for (const note of notes) complain(plain(formatNote(note)));
  if (options.out !== undefined) for (const { path } of files) say(`wrote ${path}`);
  else if (files.length > 0) process.stdout.write(streamText(files));
  const leftOut = notes.filter(({ kind }) => kind === "left out").length;
  const made = summary ? summaryText(summary) : `nothing that rhumb could use was found in ${plain(file)}`;
  complain(`${made}; ${leftOut} left out, ${notes.length - leftOut} changed in meaning`);
}

export function importCommand(exit: Exit): Command {
  const group = new Command("import").description("configurations of other products as files of rhumb");
  group.addHelpText(
    "after",
    "\nExample:\n  rhumb import haproxy /etc/haproxy/haproxy.cfg --out rhumb/\n\ndocs/import.md says what becomes of what.",
  );
  const format = (name: ImportFormat, summary: string, example: string): Command => {
    const child = command(name, summary, example)
      .argument("<file>", "- reads standard input")
      .option("--out <folder>", "write the files there instead of printing them")
      .option("--force", "overwrite files that are already there")
      .option("--json", "print files and notes as JSON")
      .action((file: string, options: Options) => run(name, file, options, exit));
    group.addCommand(child);
    return child;
  };
  format(
    "haproxy",
    "frontends and backends of HAProxy as listeners and pools",
    "rhumb import haproxy haproxy.cfg > rhumb.yaml",
  );
  format(
    "nginx",
    "servers and upstreams of nginx as listeners and pools",
    "rhumb import nginx /etc/nginx/nginx.conf --out rhumb/",
  );
  format(
    "gdnsd",
    "plugins, service types and zones of gdnsd as services, regions and checks",
    "rhumb import gdnsd /etc/gdnsd/config --zones /etc/gdnsd/zones --out rhumb/",
  ).option("--zones <folder>", "folder of gdnsd's zone files");
  format(
    "route53",
    "a hosted zone of Route 53, as the AWS CLI lists it, as zone, services, regions and checks",
    "rhumb import route53 sets.json --health-checks checks.json --out rhumb/",
  ).option("--health-checks <file>", "output of `aws route53 list-health-checks`");
  return group;
}
