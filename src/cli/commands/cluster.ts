/** `rhumb cluster`: who this node is to the others. @module */
import type { Command } from "commander";
import { command } from "#cli/command.ts";
import { say, sayJson } from "#cli/output.ts";

export function clusterCommand(): Command {
  const cluster = command(
    "cluster",
    "what nodes share, and who they are",
    "rhumb cluster key -c /etc/rhumb/rhumb.yaml",
  );
  cluster.addCommand(
    command(
      "key",
      "print this node's public key, as cluster.nodes takes it; makes the key where there is none",
      "rhumb cluster key -c /etc/rhumb/rhumb.yaml",
    )
      .option("-c, --config <file>", "path of rhumb.yaml", "rhumb.yaml")
      .option("--json", "print JSON")
      .action(async ({ config, json }: { config: string; json?: boolean }) => {
        const [{ readStateFolder }, { loadConfig }, { parseRoot }, { openIdentity }] = await Promise.all([
          import("#config/compile.ts"),
          import("#config/load.ts"),
          import("#config/parse.ts"),
          import("#cluster/identity.ts"),
        ]);
        const files = loadConfig(config);
        const node = parseRoot(files.root, []).node ?? "NODE";
        const { publicKey } = openIdentity(readStateFolder(files));
        if (json) sayJson({ node, key: publicKey });
        else say(`${node}: { key: "${publicKey}" }`);
      }),
  );
  return cluster;
}
