/** `rhumb config show|export|reload|put|hash-password` (the rest of it: `push.ts`), `check`, `init`, `backup`, `restore`. @module */
import { randomBytes } from "node:crypto";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { Command } from "commander";
import { systemClock } from "#base/clock.ts";
import { RhumbError } from "#base/errors.ts";
import { formatProblem } from "#base/problem.ts";
import { type ApiOptions, apiCommand, clientFor, command, type Exit, wrongUse } from "#cli/command.ts";
import { exportInto, pushCommands, sayChange } from "#cli/commands/push.ts";
import { complain, paint, plain, say, sayJson } from "#cli/output.ts";
import type { ConfigChange } from "#cli/shapes.ts";

async function readDocument(file: string): Promise<Record<string, unknown>> {
  const { parse } = await import("yaml");
  let text: string;
  try {
    text = readFileSync(file === "-" ? 0 : file, "utf8");
  } catch (cause) {
    throw new RhumbError("RHUMB_CONFIG_UNREADABLE", file, { cause });
  }
  let value: unknown;
  try {
    value = parse(text); // JSON is YAML
  } catch (error) {
    return wrongUse(`${file}: ${(error as Error).message.split("\n")[0]}`);
  }
  if (typeof value !== "object" || value === null || Array.isArray(value))
    return wrongUse(`${file}: it must hold a map`);
  return value as Record<string, unknown>;
}

export function configCommand(): Command {
  const group = new Command("config").description("the configuration of a running node");
  group.addHelpText("after", "\nExample:\n  rhumb config put overlay.yaml --dry-run");
  group.addCommand(
    apiCommand("show", "the effective configuration; secrets are masked", "rhumb config show").action(
      async (options: ApiOptions) => {
        const answer = (await clientFor(options).call("GET", "/config")) as { document: object };
        if (options.json) sayJson(answer);
        else say((await import("yaml")).stringify(answer.document).trimEnd());
      },
    ),
  );
  group.addCommand(
    apiCommand(
      "export",
      "files, what was pushed and the API's changes in one, as YAML",
      "rhumb config export > merged.yaml",
    )
      .option("--dir <folder>", "write what was pushed as files instead, where this folder keeps them")
      .option("--force", "replace files that say something else")
      .action(async (options: ApiOptions & { dir?: string; force?: boolean }) => {
        if (options.dir !== undefined) return exportInto(options.dir, options.force === true, options);
        const text = (await clientFor(options).call("GET", "/config/export")) as string;
        if (options.json) sayJson({ yaml: text });
        else process.stdout.write(text);
      }),
  );
  group.addCommand(
    apiCommand("reload", "read the files again, as SIGHUP does", "rhumb config reload").action(
      async (options: ApiOptions) => {
        sayChange((await clientFor(options).call("POST", "/config/reload")) as ConfigChange, options.json);
      },
    ),
  );
  group.addCommand(
    apiCommand(
      "put",
      "replace the changes that lie over the files; an empty map removes them",
      "rhumb config put overlay.yaml --dry-run",
    )
      .argument("<file>", "YAML or JSON; - reads standard input")
      .option("--dry-run", "check it and say what would change")
      .action(async (file: string, options: ApiOptions & { dryRun?: boolean }) => {
        const document = await readDocument(file);
        const path = `/config?dryRun=${options.dryRun === true}`;
        sayChange((await clientFor(options).call("PUT", path, document)) as ConfigChange, options.json);
      }),
  );
  for (const child of pushCommands()) group.addCommand(child);
  group.addCommand(hashPasswordCommand());
  return group;
}

/** A pipe or a file is read to its end; at a terminal one line is asked for, and not shown. */
async function readPassword(): Promise<string> {
  if (!process.stdin.isTTY) return readFileSync(0, "utf8").replace(/\r?\n$/, "");
  const { createInterface } = await import("node:readline/promises");
  const { Writable } = await import("node:stream");
  process.stderr.write("Password: ");
  const silent = new Writable({ write: (_octets, _encoding, done) => done() });
  const terminal = createInterface({ input: process.stdin, output: silent, terminal: true });
  const password = await terminal.question("");
  terminal.close();
  process.stderr.write("\n");
  return password;
}

function hashPasswordCommand(): Command {
  return command(
    "hash-password",
    "a line for the users of `basicAuth`; the password is read from standard input",
    "rhumb config hash-password kim >> users.txt",
  )
    .argument("<name>", "the user's name")
    .action(async (name: string) => {
      if (!/^[^:\s]+$/.test(name)) wrongUse("A name has no colon and no space");
      const password = await readPassword();
      if (password === "") wrongUse("The password is empty");
      const { hashPassword } = await import("#base/password.ts");
      say(`${name}:${await hashPassword(password)}`);
    });
}

export function checkCommand(exit: Exit): Command {
  return command(
    "check",
    "validate a configuration: all problems at once, with file, line and fix",
    "rhumb check -c rhumb.yaml",
  )
    .option("-c, --config <file>", "path of rhumb.yaml", "rhumb.yaml")
    .option("--secrets", "secrets that this machine lacks are errors, not warnings")
    .option("--json", "print problems as JSON")
    .action(async (options: { config: string; secrets?: boolean; json?: boolean }) => {
      const { checkConfig, summaryText } = await import("#config/check-config.ts");
      const report = checkConfig(options.config, { nowMs: Date.now(), needsSecrets: options.secrets === true });
      if (report.problems.length > 0) exit(1);
      if (options.json) return sayJson(report);
      for (const problem of [...report.problems, ...report.warnings]) complain(plain(formatProblem(problem)));
      const counts = summaryText(report.summary);
      const verdict =
        report.problems.length === 0 ? paint("valid", "green") : paint(`${report.problems.length} errors`, "red");
      say(`${options.config}: ${verdict}; ${counts}`);
    });
}

export function initCommand(): Command {
  return command(
    "init",
    "write a first configuration, zone, regions and token that pass `rhumb check`",
    "rhumb init example.com",
  )
    .argument("<domain>", "the zone to serve")
    .option("-d, --dir <folder>", "where to write; nothing there is overwritten", ".")
    .action(async (domain: string, { dir }: { dir: string }) => {
      const { initConfig } = await import("#config/init.ts");
      for (const file of initConfig({ domain, folder: dir, randomBytes, nowMs: Date.now() })) say(`wrote ${file}`);
      say("Next: rhumb check, then rhumb start; docs/going-live.md leads on from there");
    });
}

export function backupCommand(): Command {
  return command(
    "backup",
    "copy state, store and configuration into a new folder; the node may run",
    "rhumb backup /var/backups/rhumb-2027-01-01 -c rhumb.yaml",
  )
    .argument("<folder>", "folder to make")
    .option("-c, --config <file>", "path of rhumb.yaml", "rhumb.yaml")
    .action(async (target: string, { config }: { config: string }) => {
      const [{ loadConfig }, { readStateFolder }, { parseRoot }, { writeBackup }, { openStore, STORE_FILE }] =
        await Promise.all([
          import("#config/load.ts"),
          import("#config/compile.ts"),
          import("#config/parse.ts"),
          import("#cluster/backup.ts"),
          import("#cluster/store.ts"),
        ]);
      const files = loadConfig(config);
      const stateFolder = readStateFolder(files);
      const store = openStore({ folder: stateFolder, clock: systemClock });
      try {
        const names = existsSync(stateFolder) ? readdirSync(stateFolder, { withFileTypes: true }) : [];
        const manifest = await writeBackup({
          node: parseRoot(files.root, []).node ?? "",
          store,
          stateFolder,
          stateFiles: names
            .filter((entry) => entry.isFile() && !entry.name.startsWith(STORE_FILE))
            .map(({ name }) => name),
          configFiles: files.sources,
          secretFiles: files.secretFiles,
          configFolder: files.folder,
          target,
          clock: systemClock,
        });
        say(`${target}: ${manifest.files.length} files`);
        say(manifest.note);
      } finally {
        store.close();
      }
    });
}

export function restoreCommand(): Command {
  return command(
    "restore",
    "put a backup back; the node must not run",
    "rhumb restore /var/backups/rhumb-2027-01-01 -c rhumb.yaml --force",
  )
    .argument("<folder>", "a backup")
    .option("-c, --config <file>", "rhumb.yaml that says where the state lies", "rhumb.yaml")
    .option("--with-config <folder>", "also put the configuration back, into this folder")
    .option("--force", "replace the state that is there")
    .action(async (source: string, options: { config: string; withConfig?: string; force?: boolean }) => {
      const [{ loadConfig }, { readStateFolder }, { restoreBackup }] = await Promise.all([
        import("#config/load.ts"),
        import("#config/compile.ts"),
        import("#cluster/backup.ts"),
      ]);
      const stateFolder = readStateFolder(loadConfig(options.config));
      const { manifest, epoch, files } = restoreBackup({
        source,
        stateFolder,
        configFolder: options.withConfig,
        isForced: options.force === true,
        clock: systemClock,
      });
      say(
        `${files.length} files put back from the backup of ${new Date(manifest.atMs).toISOString()}; epoch ${epoch} begins`,
      );
      say(manifest.note);
    });
}
