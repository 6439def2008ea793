import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import test from "node:test";
import { openClient } from "./bed.ts";

const CLIENTS = 120;
/** Node needs some twenty for itself. */
const DESCRIPTORS = 80;

test("where descriptors run out, the least recently used sessions make room for new ones", async () => {
  const child = spawn(
    "sh",
    [
      "-c",
      `ulimit -n ${DESCRIPTORS} && exec "$0" "$1"`,
      process.execPath,
      join(import.meta.dirname, "scarce-child.ts"),
    ],
    { stdio: ["pipe", "pipe", "inherit"] },
  );
  const line = async (): Promise<string> => (await once(child.stdout, "data"))[0].toString().trim();
  const port = Number(await line());
  for (let number = 0; number < CLIENTS; number++) {
    const client = await openClient(port);
    // As askers over UDP do: again, where no answer came.
    const again = setInterval(() => client.send("x"), 50);
    assert.equal(await client.ask("x"), "a:x");
    clearInterval(again);
    client.close();
  }
  const said = line();
  child.stdin.write("tell\n");
  const { evicted, active } = JSON.parse(await said);
  assert.ok(active < DESCRIPTORS && evicted > CLIENTS - DESCRIPTORS, `${active} active, ${evicted} evicted`);
  await once(child, "exit");
});
