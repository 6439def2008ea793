/**
 * The control API of the stage's own nodes, as an operator uses it.
 * @module
 */
import { RhumbError } from "#base/errors.ts";
import type { Endpoint } from "#drill/stage.ts";

const TIMEOUT_MS = 10_000;

export type ApiAnswer = { readonly status: number; readonly body: unknown };
export type Api = {
  /** Any status. @throws RhumbError where nobody answers */
  ask(method: string, path: string, body?: object): Promise<ApiAnswer>;
  /** @throws RhumbError where the status is not one of success, with what the node says */
  call<T>(method: string, path: string, body?: object): Promise<T>;
};

export function createApi(name: string, { address, port }: Endpoint, token: string): Api {
  async function ask(method: string, path: string, body?: object): Promise<ApiAnswer> {
    try {
      const response = await fetch(`http://${address}:${port}${path}`, {
        method,
        headers: {
          accept: "application/json",
          authorization: `Bearer ${token}`,
          ...(body === undefined ? {} : { "content-type": "application/json" }),
        },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
        signal: AbortSignal.timeout(TIMEOUT_MS),
      });
      const text = await response.text();
      return { status: response.status, body: text === "" ? undefined : JSON.parse(text) };
    } catch (error) {
      throw new RhumbError(
        "RHUMB_DRILL_STAGE",
        `${name} does not answer ${method} ${path}: ${(error as Error).message}`,
      );
    }
  }
  return {
    ask,
    async call<T>(method: string, path: string, body?: object): Promise<T> {
      const answer = await ask(method, path, body);
      if (answer.status >= 200 && answer.status < 300) return answer.body as T;
      const said = (answer.body as { detail?: string } | undefined)?.detail ?? "";
      throw new RhumbError("RHUMB_DRILL_STAGE", `${name} refuses ${method} ${path} with ${answer.status}: ${said}`);
    },
  };
}
