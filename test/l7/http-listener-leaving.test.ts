/** A listener whose clients are to go elsewhere: who comes is served, and told with the response. */
import assert from "node:assert/strict";
import test from "node:test";
import { type Peer, until } from "../net/bed.ts";
import { DRIVERS } from "../net/drivers.ts";
import { hello, openHttp } from "./http-bed.ts";

const textOf = ({ chunks }: Peer): string => Buffer.concat(chunks).toString("latin1");
const REQUEST = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

for (const [name, createDriver] of Object.entries(DRIVERS)) {
  test(`while leaving, each response ends its connection, new clients' too, until it stays again (${name})`, async (t) => {
    const bed = await openHttp(t, { driver: createDriver(), handlers: [hello] });
    const old = await bed.dial(REQUEST);
    await until(() => bed.count("http_requests") === 1 && bed.count("http_active") === 0);
    bed.setLeaving(true);
    old.socket.write(REQUEST);
    assert.equal(await old.ending, "fin");
    assert.match(textOf(old), /200.*200.*connection: close/is);
    assert.equal((textOf(old).match(/connection: close/gi) ?? []).length, 1, "the first response was of before");
    const fresh = await bed.dial(REQUEST);
    assert.equal(await fresh.ending, "fin");
    assert.match(textOf(fresh), /200.*connection: close/is);
    bed.setLeaving(false);
    const staying = await bed.dial(REQUEST);
    await until(() => bed.count("http_requests") === 4 && bed.count("http_active") === 0);
    await until(() => /hello/.test(textOf(staying)));
    assert.doesNotMatch(textOf(staying), /connection: close/i);
    for (const client of [old, fresh, staying]) client.socket.end();
  });

  test(`while leaving, an idle connection is closed once it has rested (${name})`, async (t) => {
    const bed = await openHttp(t, { driver: createDriver(), handlers: [hello] });
    const client = await bed.dial(REQUEST);
    await until(() => bed.count("http_requests") === 1 && bed.count("http_active") === 0);
    bed.setLeaving(true);
    assert.equal(await client.ending, "fin");
    client.socket.end();
  });
}
