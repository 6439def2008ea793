/** HTTP listeners prove names to an ACME authority before any rule is asked. */
import assert from "node:assert/strict";
import test from "node:test";
import { DRIVERS } from "../net/drivers.ts";
import { HTTP_DEFAULTS, openHttp } from "./http-bed.ts";

const PATH = "/.well-known/acme-challenge/token";

for (const [name, createDriver] of Object.entries(DRIVERS))
  test(`an HTTP listener answers what proves a name, whatever its hosts and rules say (${name})`, async (t) => {
    const http = { ...HTTP_DEFAULTS, hosts: ["www.example"] };
    const bed = await openHttp(t, {
      driver: createDriver(),
      acmeProofs: { [PATH]: "token.print" },
      listener: { http },
    });
    const ask = async (path: string, host: string) => {
      const { status, body } = await bed.ask(path, { headers: { host } });
      return [status, body.toString()];
    };
    assert.deepEqual(await ask(PATH, "other.example"), [200, "token.print"]);
    assert.equal((await ask(`${PATH}2`, "other.example"))[0], 421);
    assert.equal((await ask(`${PATH}2`, "www.example"))[0], 404, "no rule has it");
  });
