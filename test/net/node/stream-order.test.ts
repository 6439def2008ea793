/** Octets that wait for their owner come before the end of the peer, whenever Node tells of that. */
import assert from "node:assert/strict";
import { Socket } from "node:net";
import test from "node:test";
import type { StreamOwner } from "#net/driver.ts";
import type { NetConn } from "#net/node/conn.ts";
import { NetStream } from "#net/node/stream.ts";

for (const { name, prepare } of [
  { name: "of a new stream", prepare: () => {} },
  {
    name: "of one that goes on",
    prepare(stream: NetStream) {
      stream.pause();
      stream.resume();
    },
  },
])
  test(`NetStream tells octets ${name} before the end that comes meanwhile`, async () => {
    const told: string[] = [];
    const owner = {
      onOctets: (octets: Buffer) => void told.push(octets.toString()),
      onEnd: () => void told.push("end"),
    } as StreamOwner;
    const conn = { socket: new Socket(), held: Buffer.from("last words"), isEnded: true, isBroken: false };
    const stream = new NetStream(conn as unknown as NetConn, owner);
    prepare(stream);
    stream.onEnd();
    await new Promise((resolve) => setImmediate(resolve));
    assert.deepEqual(told, ["last words", "end"]);
  });
