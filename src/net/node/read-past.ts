/**
 * Reads into one buffer of the thread, past the queues of node:stream, on a socket that exists already.
 *
 * Owns:    the buffer: without it Node takes 64 KiB for each read, and gives most of it back. `net.connect` has this as its
 *          option `onread`; a socket that was accepted, or stands on TLS, gets it by the fields that the option sets. They
 *          are found on a socket that was made with it. Where they are not there, octets come as `data`.
 * @module
 */
import { Socket } from "node:net";

/** What one read may bring. */
const READ_OCTETS = 65_536;
const buffer = Buffer.allocUnsafeSlow(READ_OCTETS);

type Fields = Record<symbol, unknown>;
type Handle = { useUserBuffer?(octets: Buffer): void };

const [bufferField, takeField] = fieldsOf(new Socket({ onread: { buffer, callback: () => true } }));

/** The fields that hold the buffer and who takes what came. */
function fieldsOf(socket: Socket): [symbol | undefined, symbol | undefined] {
  const fields = socket as unknown as Fields;
  const symbols = Object.getOwnPropertySymbols(socket);
  return [
    symbols.find((symbol) => fields[symbol] === buffer),
    symbols.find((symbol) => symbol.description === "kBufferCb" && typeof fields[symbol] === "function"),
  ];
}

/**
 * From now on what the socket reads goes to `take`, which may look at it during the call alone. What the socket holds
 * already, its end and its errors come as ever.
 */
export function readPast(socket: Socket, take: (octets: Buffer) => void): void {
  const { _handle: handle } = socket as unknown as { readonly _handle?: Handle | null };
  if (bufferField === undefined || takeField === undefined || handle?.useUserBuffer === undefined) return;
  const fields = socket as unknown as Fields;
  fields[bufferField] = buffer;
  fields[takeField] = (length: number) => {
    take(buffer.subarray(0, length));
    return true; // false would pause
  };
  handle.useUserBuffer(buffer);
}
