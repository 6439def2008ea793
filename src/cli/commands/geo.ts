/** `rhumb geo build|lookup|reload`: wires `cli/geo.ts` to options and output; `reload` asks a running node. @module */
import { randomBytes } from "node:crypto";
import { Command } from "commander";
import { formatProblem } from "#base/problem.ts";
import { type ApiOptions, apiCommand, clientFor, command, type Exit } from "#cli/command.ts";
import { complain, plain, say, sayJson } from "#cli/output.ts";

type Database = { readonly file: string; readonly builtAtMs: number | null } | null;
type GeoReload = {
  readonly isLoaded: boolean;
  readonly problems: readonly string[];
  readonly database: Database;
  readonly asnDatabase: Database;
};
type Result = { readonly exitCode: number; readonly out: string; readonly err: string };

export function geoCommand(exit: Exit): Command {
  const finish = ({ exitCode, out, err }: Result): void => {
    process.stdout.write(out);
    process.stderr.write(err);
    exit(exitCode);
  };
  const group = new Command("geo").description(
    "geo databases: build one from text, look an address up, read them again",
  );
  group.addHelpText("after", "\nExample:\n  rhumb geo lookup 198.51.100.7 --database geo-data/demo.mmdb");
  group.addCommand(
    command(
      "build",
      "build a MaxMind-format database from text",
      "rhumb geo build geo-data/demo.txt -o geo-data/demo.mmdb",
    )
      .argument("<source>", "text source")
      .requiredOption("-o, --output <file>", "database to write; replaced at once when all is well")
      .action(async (source: string, { output }: { output: string }) => {
        const { runGeoBuild } = await import("#cli/geo.ts");
        finish(runGeoBuild({ source, output }));
      }),
  );
  group.addCommand(
    command("lookup", "what databases and overrides say of an address", "rhumb geo lookup 198.51.100.7 -c rhumb.yaml")
      .argument("<ip>", "address")
      .option("-c, --config <file>", "use databases, overrides and regions of this configuration")
      .option("--database <file>", "City or Country database")
      .option("--asn <file>", "ASN database")
      .option("--json", "print JSON")
      .action(
        async (address: string, options: { config?: string; database?: string; asn?: string; json?: boolean }) => {
          const { runGeoLookup } = await import("#cli/geo.ts");
          const snapshot = options.config === undefined ? undefined : await compileConfig(options.config);
          if (options.config !== undefined && !snapshot) return exit(1);
          finish(
            runGeoLookup({
              address,
              database: options.database ?? snapshot?.geo.database,
              asnDatabase: options.asn ?? snapshot?.geo.asnDatabase,
              json: options.json === true,
              config: snapshot && { overrides: snapshot.geo.overrides, regions: snapshot.regions },
            }),
          );
        },
      ),
  );
  group.addCommand(
    apiCommand(
      "reload",
      "let a node read its geo databases again, which it also does by itself when a file is replaced",
      "rhumb geo reload\nrhumb geo reload --force",
    )
      .option("--force", "also take a database that has lost much of what the one in use has")
      .action(async (options: ApiOptions & { force?: boolean }) => {
        const body = { force: options.force === true };
        const answer = (await clientFor(options).call("POST", "/geo/reload", body)) as GeoReload;
        if (!answer.isLoaded) exit(1);
        if (options.json) return sayJson(answer);
        for (const problem of answer.problems) complain(plain(problem));
        const used = [answer.database, answer.asnDatabase].filter((database) => database !== null);
        if (used.length === 0) say("no geo database is configured");
        for (const { file, builtAtMs } of used) {
          const built = builtAtMs === null ? "not loaded" : `built ${new Date(builtAtMs).toISOString()}`;
          say(`in use: ${plain(file)}, ${built}`);
        }
      }),
  );
  return group;
}

/** The snapshot of a configuration, or undefined after its problems were printed. Secrets may be missing. */
async function compileConfig(config: string) {
  const [{ loadConfig }, { compile, createCompileContext }] = await Promise.all([
    import("#config/load.ts"),
    import("#config/compile.ts"),
  ]);
  const context = createCompileContext(randomBytes, 1);
  const options = { ...context, generation: { epoch: 0, sequence: 0 }, nowMs: Date.now(), secrets: "warn" } as const;
  const result = compile(loadConfig(config), options);
  if (!("problems" in result)) return result.snapshot;
  for (const problem of result.problems) complain(plain(formatProblem(problem)));
  return undefined;
}
