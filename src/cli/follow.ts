/** Following a stream of the API over restarts of the node, for `rhumb events` and `rhumb queries`. @module */
import type { ApiClient } from "#cli/api-client.ts";
import type { Exit } from "#cli/command.ts";

const RETRY_MS = 500;
/** Ten seconds: the time of a restart. */
const RETRIES = 20;

/**
 * Hands over what comes after `lastId`, until the process is interrupted.
 *
 * @throws what the node answers, or that it has been away for too long
 */
export async function follow(
  client: ApiClient,
  path: string,
  lastId: string | undefined,
  exit: Exit,
  show: (event: unknown) => void,
): Promise<never> {
  let from = lastId;
  process.once("SIGINT", () => process.exit(0));
  for (;;) {
    await client.follow(path, from, (id, data) => {
      from = id;
      show(JSON.parse(data));
    });
    for (let tries = 1; ; tries++) {
      await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
      try {
        await client.call("GET", "/healthz");
        break;
      } catch (error) {
        if (tries < RETRIES) continue;
        exit(1);
        throw error;
      }
    }
  }
}
