/** Rules that look at the body, and bodies whose length nobody says before they end: chunked, in pieces, with trailers. */
import assert from "node:assert/strict";
import test from "node:test";
import { until } from "../net/bed.ts";
import { DRIVERS } from "../net/drivers.ts";
import { type Handler, openHttp, textOf } from "./http-bed.ts";

const echo =
  (who: string): Handler =>
  (request, response) =>
    void textOf(request).then((body) => response.end(`${who} ${body.length} ${body.slice(0, 60)};`));
const RULES = [
  { name: "gold", pool: "api", match: { body: { json: { path: "plan", value: "gold" }, max: "64B" } } },
  { pool: "web", maxBody: "200B" },
];
const HEAD = "POST / HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n";
const chunk = (text: string, more = ""): string => `${text.length.toString(16)}${more}\r\n${text}\r\n`;
const GOLD = '{"plan":"gold"}';
/** Of so many octets, and JSON. */
const goldOf = (octets: number): string => GOLD.padEnd(octets);

for (const [name, createDriver] of Object.entries(DRIVERS))
  for (const { what, pieces, head = HEAD, status = 200, answer } of [
    { what: "in one chunk", pieces: [chunk(GOLD), "0\r\n\r\n"], answer: `api 15 ${GOLD}` },
    {
      what: "cut amid its chunks, with extensions and trailers",
      pieces: ["5;a=b\r\n{", '"pla\r\n', "a\r\n", 'n":"gold"}', "\r\n0\r\nX-", "T: 1\r\n\r", "\n"],
      answer: `api 15 ${GOLD}`,
    },
    {
      what: "that says nothing of it",
      pieces: [chunk('{"plan":"tin"}'), "0\r\n\r\n"],
      answer: 'web 14 {"plan":"tin"}',
    },
    { what: "that is empty", pieces: ["0\r\n\r\n"], answer: "web 0 " },
    { what: "as long as may be looked at", pieces: [chunk(goldOf(64)), "0\r\n\r\n"], answer: "api 64 {" },
    { what: "longer than may be looked at", pieces: [chunk(goldOf(64)), chunk(" "), "0\r\n\r\n"], answer: "web 65 {" },
    {
      what: "whose client waits to be let on",
      head: `${HEAD}Expect: 100-continue\r\n`,
      pieces: [chunk(GOLD), "0\r\n\r\n"],
      answer: `api 15 ${GOLD}`,
    },
    { what: "longer than the rule takes", pieces: [chunk("x".repeat(201)), "0\r\n\r\n"], status: 413, answer: "413" },
    { what: "that breaks its framing", pieces: [chunk(GOLD), "zz\r\n"], status: 400, answer: "400" },
  ])
    test(`a rule decides by a chunked body ${what} (${name})`, async (t) => {
      const bed = await openHttp(t, {
        driver: createDriver(),
        web: 1,
        handlers: [echo("web"), echo("api")],
        rules: RULES,
      });
      const client = await bed.dial(`${head}\r\n`);
      const said = (): string => Buffer.concat(client.chunks).toString("latin1");
      if (head !== HEAD) await until(() => said() === "HTTP/1.1 100 Continue\r\n\r\n");
      for (const piece of pieces) {
        client.socket.write(piece);
        await new Promise((resolve) => setImmediate(resolve));
      }
      await until(() => said().includes(answer));
      assert.match(said(), new RegExp(`HTTP/1\\.1 ${status} `));
      if (status !== 200) assert.equal(bed.backends.flatMap(({ seen }) => seen).length, 0);
    });
