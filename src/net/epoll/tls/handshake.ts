/**
 * Handshakes with clients: the hello is read, what it asks for is chosen, and OpenSSL does the rest on the socket itself.
 *
 * Owns:    clients until they are through, and what OpenSSL calls back for: the protocol (ALPN) and the staple, both known
 *          by then. These two are all that it calls.
 * Never:   waits. A handshake goes on with the events of its socket, and ends with its time.
 * Rule:    names, protocols and certificates are what strangers send: a hello that cannot be read gets the certificate of
 *          those who name none, and from OpenSSL the alert that says what is wrong.
 * @module
 */
import { X509Certificate } from "node:crypto";
import type { TlsAgreement, TlsPeer, TlsTerms } from "#net/driver.ts";
import type { Address } from "#net/epoll/load.ts";
import { DOING, type EpollSocket, type Look } from "#net/epoll/socket.ts";
import { createIdentities } from "#net/epoll/tls/identity.ts";
import {
  type OpensslCalls,
  SSL_CTRL_SET_TLSEXT_STATUS_REQ_OCSP_RESP,
  SSL_ERROR_WANT_READ,
  SSL_ERROR_WANT_WRITE,
  SSL_TLSEXT_ERR_ALERT_FATAL,
  SSL_TLSEXT_ERR_NOACK,
  SSL_TLSEXT_ERR_OK,
} from "#net/epoll/tls/openssl.ts";
import { TlsSession } from "#net/epoll/transport.ts";
import { peerOf } from "#net/tls-peer.ts";
import { type ClientHello, MAX_CLIENT_HELLO_OCTETS, parseClientHello } from "#tls/client-hello.ts";
import type { TlsIdentity } from "#tls/contexts.ts";

/** The protocol of TLS-ALPN-01 (RFC 8737 §4). */
const ACME_PROTOCOL = "acme-tls/1";
const NOTHING_SAID: ClientHello = { serverName: undefined, alpn: [] };
const POINTER_OCTETS = 8;
/** A certificate of a client is shorter than this. */
const SCRATCH_OCTETS = 65_536;
const VERSIONS: Readonly<Record<number, string>> = { 771: "TLSv1.2", 772: "TLSv1.3" };

type Done = (agreement: TlsAgreement | undefined) => void;

/** A handshake under way. */
export type Handshake = {
  readonly terms: TlsTerms;
  readonly done: Done;
  hello: ClientHello;
  identity: TlsIdentity;
  isChallenge: boolean;
  /** What ALPN comes to: nothing was asked for, or there is nothing in common. */
  protocol: string | "none" | undefined;
  /** The hello was not read from the socket: OpenSSL gets it from memory first. */
  isFromMemory: boolean;
};

export type Handshakes = {
  start(socket: EpollSocket, terms: TlsTerms, done: Done): void;
  /** Something happened at a socket that shakes hands. */
  proceed(socket: EpollSocket): void;
  timeOut(socket: EpollSocket): void;
  /** Contexts that are held. */
  held(): number;
  close(): void;
};

/**
 * @param options.read what the socket's `read` does
 * @param options.over it is through: no time-out any more, and somebody is told
 */
export function createHandshakes(options: {
  readonly calls: OpensslCalls;
  read(socket: EpollSocket, limits: { readonly maxOctets: number; readonly timeoutMs: number }, look: Look): void;
  began(): void;
  over(socket: EpollSocket): void;
  drop(socket: EpollSocket, isReset: boolean): void;
}): Handshakes {
  const { calls, read, began, over, drop } = options;
  const scratch = Buffer.allocUnsafeSlow(SCRATCH_OCTETS);
  const scratchAt = Number(calls.addressOf(scratch));
  const pointer = new BigUint64Array(new ArrayBuffer(POINTER_OCTETS));
  const pointerAt = Number(calls.addressOf(pointer));
  /** Names of protocols where OpenSSL reads them, each after its length. */
  const names = new Map<string, { readonly bytes: Buffer; readonly address: Address }>();
  /** Whose handshake runs now. */
  let current: Handshake | undefined;

  function nameOf(protocol: string): Address {
    let name = names.get(protocol);
    if (name === undefined) {
      const text = Buffer.from(protocol, "latin1");
      const bytes = Buffer.allocUnsafeSlow(1 + text.length);
      bytes[0] = text.length;
      bytes.set(text, 1);
      name = { bytes, address: Number(calls.addressOf(bytes)) };
      names.set(protocol, name);
    }
    return name.address;
  }

  const protocolHook = calls.callback(
    ["int", "uintptr_t", "uintptr_t", "uintptr_t", "uintptr_t", "uint32_t", "uintptr_t"],
    SSL_TLSEXT_ERR_ALERT_FATAL,
    (_session, into, intoLength) => {
      const protocol = current?.protocol;
      if (protocol === undefined) return SSL_TLSEXT_ERR_NOACK;
      if (protocol === "none") return SSL_TLSEXT_ERR_ALERT_FATAL;
      const name = nameOf(protocol);
      pointer[0] = BigInt(name + 1);
      calls.memcpy(into!, pointerAt, POINTER_OCTETS);
      calls.memcpy(intoLength!, name, 1);
      return SSL_TLSEXT_ERR_OK;
    },
  );
  const stapleHook = calls.callback(["int", "uintptr_t", "uintptr_t"], SSL_TLSEXT_ERR_NOACK, (session) => {
    const { address, octets } = identities.stapleOf(current!.identity, session!);
    if (address === 0) return SSL_TLSEXT_ERR_NOACK;
    calls.SSL_ctrl(session!, SSL_CTRL_SET_TLSEXT_STATUS_REQ_OCSP_RESP, octets, address);
    return SSL_TLSEXT_ERR_OK;
  });
  const identities = createIdentities(calls, { protocol: protocolHook.address, staple: stapleHook.address });

  function choose(handshake: Handshake): void {
    const { hello, terms } = handshake;
    const { contexts, alpn } = terms;
    const proof =
      contexts.hasChallenges && hello.alpn.length === 1 && hello.alpn[0] === ACME_PROTOCOL
        ? contexts.challenge(hello.serverName)
        : undefined;
    handshake.isChallenge = proof !== undefined;
    handshake.identity = proof ?? contexts.choose(hello.serverName);
    const offered = proof === undefined ? alpn : [ACME_PROTOCOL];
    handshake.protocol =
      offered.length === 0 || hello.alpn.length === 0
        ? undefined
        : (offered.find((name) => hello.alpn.includes(name)) ?? "none");
  }

  /** @returns false: OpenSSL has no memory, or does not take what was configured */
  function begin(socket: EpollSocket, octets: Uint8Array): boolean {
    const handshake = socket.handshake!;
    let context: Address;
    try {
      context = identities.contextOf(handshake.identity, handshake.terms.contexts, handshake.isChallenge);
    } catch {
      return false;
    }
    const session = calls.SSL_new(context);
    const wire = calls.BIO_new_socket(socket.descriptor, 0);
    const memory = calls.BIO_new(calls.BIO_s_mem());
    if (session === 0 || wire === 0 || memory === 0) {
      calls.SSL_free(session);
      calls.BIO_free(wire);
      calls.BIO_free(memory);
      return false;
    }
    scratch.set(octets);
    calls.BIO_write(memory, scratchAt, octets.length);
    calls.SSL_set0_rbio(session, memory);
    calls.SSL_set0_wbio(session, wire);
    calls.SSL_set_accept_state(session);
    socket.tls = new TlsSession(session, wire);
    began();
    return true;
  }

  function fail(socket: EpollSocket, isReset: boolean): void {
    const { done } = socket.handshake!;
    socket.handshake = undefined;
    over(socket);
    drop(socket, isReset);
    done(undefined);
  }

  function proceed(socket: EpollSocket): void {
    const handshake = socket.handshake!;
    const { session, wire } = socket.tls!;
    for (;;) {
      current = handshake;
      calls.ERR_clear_error();
      const result = calls.SSL_do_handshake(session);
      current = undefined;
      if (result === 1) {
        finish(socket, handshake);
        return;
      }
      const error = calls.SSL_get_error(session, result);
      if (error === SSL_ERROR_WANT_WRITE) return;
      if (error !== SSL_ERROR_WANT_READ) {
        socket.tls!.isBroken = true;
        calls.ERR_clear_error();
        fail(socket, false); // the alert is on its way: a reset might overtake it
        return;
      }
      if (!handshake.isFromMemory) {
        socket.isReadable = false;
        return;
      }
      handshake.isFromMemory = false;
      calls.BIO_up_ref(wire);
      calls.SSL_set0_rbio(session, wire);
      if (!socket.isReadable) return;
    }
  }

  function finish(socket: EpollSocket, handshake: Handshake): void {
    const under = socket.tls!;
    under.isUp = true;
    // A validator has seen the certificate and goes; nothing of this protocol follows.
    if (handshake.isChallenge || handshake.isFromMemory) {
      fail(socket, !handshake.isChallenge);
      return;
    }
    socket.handshake = undefined;
    socket.isReadable = true; // what came with the last of the handshake is in OpenSSL's hands
    over(socket);
    handshake.done(agreementOf(under.session, handshake));
  }

  function agreementOf(session: Address, { hello, protocol, terms }: Handshake): TlsAgreement {
    return {
      serverName: hello.serverName,
      alpn: protocol,
      version: VERSIONS[calls.SSL_version(session)] ?? "",
      cipher: calls.SSL_CIPHER_standard_name(calls.SSL_get_current_cipher(session)),
      peer: terms.contexts.client === "none" ? undefined : shownIn(session),
    };
  }

  function shownIn(session: Address): TlsPeer | undefined {
    const certificate = calls.SSL_get0_peer_certificate(session);
    if (certificate === 0) return undefined;
    const octets = calls.i2d_X509(certificate, 0);
    if (octets <= 0 || octets > SCRATCH_OCTETS) return undefined;
    pointer[0] = BigInt(scratchAt);
    calls.i2d_X509(certificate, pointerAt);
    return peerOf(new X509Certificate(Buffer.from(scratch.subarray(0, octets))));
  }

  return {
    start(socket, terms, done) {
      const handshake: Handshake = {
        terms,
        done,
        hello: NOTHING_SAID,
        identity: terms.contexts.choose(undefined),
        isChallenge: false,
        protocol: undefined,
        isFromMemory: true,
      };
      read(socket, { maxOctets: MAX_CLIENT_HELLO_OCTETS, timeoutMs: terms.timeoutMs }, (octets) => {
        const hello = octets === undefined ? undefined : parseClientHello(octets);
        if (hello === "more") return -1;
        socket.handshake = handshake;
        if (octets === undefined || hello === undefined) {
          fail(socket, true);
          return 0;
        }
        if (!("fault" in hello)) handshake.hello = hello;
        choose(handshake);
        socket.doing = DOING.shaking;
        if (begin(socket, octets)) proceed(socket);
        else fail(socket, true);
        return octets.length;
      });
    },
    proceed,
    timeOut: (socket) => fail(socket, true),
    held: identities.held,
    close() {
      identities.close();
      protocolHook.free();
      stapleHook.free();
    },
  };
}
