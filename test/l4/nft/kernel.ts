/**
 * What tests of kernel mode share: a network namespace of their own for one command, and whether this machine can.
 */
import { spawnSync } from "node:child_process";
import { without } from "../../system/tools.ts";

/** Why a test of the real kernel is skipped, or false. In CI nothing is. */
export const withoutKernel = (...tools: readonly string[]): string | false =>
  without("nft", "ip", "unshare", ...tools) ||
  (process.getuid?.() !== 0 && !process.env["CI"] && "needs root: network namespaces and nftables");

/** Runs a shell script in a network namespace that is gone afterwards. */
export function inNamespace(script: string, input = ""): { code: number | null; out: string; err: string } {
  const { status, stdout, stderr } = spawnSync("unshare", ["-n", "sh", "-ec", script], {
    input,
    encoding: "utf8",
    maxBuffer: 64 << 20,
  });
  return { code: status, out: stdout, err: stderr };
}
