/** Test helper: a good configuration that uses most of what there is, with files of a case laid over it. */
import { cpSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createSeededRng } from "#base/rng.ts";
import { type CompileOptions, type CompileResult, compile, createCompileContext } from "#config/compile.ts";
import type { ConfigFiles } from "#config/files.ts";
import { loadConfig } from "#config/load.ts";

export const SECRETS = {
  TOKEN: "token-for-tests-of-configuration",
  READ_TOKEN: "another-token-for-these-tests",
  COOKIE: "00112233445566778899aabbccddeeff",
  HOOK: "https://hooks.example/key",
  SHORT: "short",
};
export const NOW_MS = Date.parse("2026-06-01T00:00:00Z");

export function testContext() {
  const rng = createSeededRng(1);
  return createCompileContext((octets) => Uint8Array.from({ length: octets }, () => Math.floor(rng() * 256)), 2);
}

/** A copy of `good/` with the files of `over` on top; removed when the test ends. */
export function copyGood(t: { after(callback: () => void): void }, over?: string): string {
  const folder = mkdtempSync(join(tmpdir(), "rhumb-config-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  cpSync(join(import.meta.dirname, "good"), folder, { recursive: true });
  if (over !== undefined) cpSync(over, folder, { recursive: true });
  return folder;
}

export const loadFrom = (folder: string): ConfigFiles => loadConfig(join(folder, "rhumb.yaml"), { env: SECRETS });

export function compileFrom(folder: string, options: Partial<CompileOptions> = {}): CompileResult {
  return compile(loadFrom(folder), {
    ...testContext(),
    generation: { epoch: 1, sequence: 1 },
    nowMs: NOW_MS,
    ...options,
  });
}
