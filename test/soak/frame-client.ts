/**
 * A client that sends and hears whole frames, by the same AF_XDP socket as the server has, at the other end of a veth bed.
 */
import { attachXdp } from "#dns/transport/xdp/attach.ts";
import { loadXdpCalls, type XdpCalls } from "#dns/transport/xdp/calls.ts";
import { createChunks } from "#dns/transport/xdp/chunks.ts";
import { CHUNK_OCTETS } from "#dns/transport/xdp/frame.ts";
import { DESCRIPTOR_WORDS, FILL_CHUNKS, OFFSET_WORDS, openXdpSocket, SEND_CHUNKS } from "#dns/transport/xdp/socket.ts";
import { CLIENT, INTERFACE, type VethBed } from "../dns/transport/veth-bed.ts";

export type FrameClient = {
  /** Sends frames of at most CHUNK_OCTETS, as many as there is room for. @param make writes one into `out`; returns its octets */
  send(count: number, make: (out: Uint8Array) => number): number;
  /** Hands over what has come to our address and port; the octets hold until it returns. @returns frames */
  receive(hear: (frame: Uint8Array) => void): number;
  wait(timeoutMs: number): void;
  close(): void;
};

/** @param port answers to it, at the bed's addresses, come here; all else goes to the client's kernel */
export function openFrameClient(bed: VethBed, port: number): FrameClient {
  const calls = loadXdpCalls() as XdpCalls;
  const attachment = bed.inside("client", () => attachXdp({ calls, interface: INTERFACE }));
  const socket = bed.inside("client", () => openXdpSocket(calls, attachment.interface, 0));
  for (const address of Object.values(CLIENT)) attachment.serve({ address, port });
  const { memory, fill, receive, transmit, completion } = socket;
  const chunks = createChunks({ fill: FILL_CHUNKS, send: SEND_CHUNKS, octets: CHUNK_OCTETS });
  for (let index = 0; index < FILL_CHUNKS; index++) {
    fill.entries[fill.slot(index) * OFFSET_WORDS] = index * CHUNK_OCTETS;
  }
  fill.submit(FILL_CHUNKS);
  socket.takeQueue();
  const outs = Array.from({ length: SEND_CHUNKS }, (_, index) => {
    const at = (FILL_CHUNKS + index) * CHUNK_OCTETS;
    return memory.octets.subarray(at, at + CHUNK_OCTETS);
  });
  return {
    send(count, make) {
      const back = completion.available();
      for (let index = 0; index < back; index++) {
        chunks.complete(completion.entries[completion.slot(index) * OFFSET_WORDS]!);
      }
      completion.release(back);
      let ready = 0;
      for (let at = chunks.next(); ready < count && at >= 0; at = chunks.next()) {
        const octets = make(outs[at / CHUNK_OCTETS - FILL_CHUNKS]!);
        transmit.entries.set([at, 0, octets, 0], transmit.slot(ready) * DESCRIPTOR_WORDS);
        chunks.send();
        ready++;
      }
      transmit.submit(ready);
      socket.kick();
      return ready;
    },
    receive(hear) {
      const count = receive.available();
      for (let index = 0; index < count; index++) {
        const entry = receive.slot(index) * DESCRIPTOR_WORDS;
        const at = receive.entries[entry]!;
        hear(memory.octets.subarray(at, at + receive.entries[entry + 2]!));
        fill.entries[fill.slot(index) * OFFSET_WORDS] = at & ~(CHUNK_OCTETS - 1);
      }
      receive.release(count);
      fill.submit(count);
      return count;
    },
    wait: (timeoutMs) => socket.wait(timeoutMs),
    close() {
      socket.close();
      attachment.close();
    },
  };
}
