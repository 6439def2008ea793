/**
 * What OpenSSL serves handshakes with: one SSL_CTX for each identity that a client asked for.
 *
 * Owns:    these contexts. Sessions hold theirs: one that was released goes with the last session that began with it.
 * Never:   chooses, or checks what was checked when the configuration was taken over.
 * @module
 */
import { createHash, X509Certificate } from "node:crypto";
import type { Address } from "#net/epoll/load.ts";
import * as openssl from "#net/epoll/tls/openssl.ts";
import type { CertificatePem, TlsContexts, TlsIdentity, TlsSettings } from "#tls/contexts.ts";
import { cipherNames, GROUPS, OPTIONS } from "#tls/secure-identity.ts";
import { ticketKeysAt } from "#tls/tickets.ts";

/** Name (16), HMAC key (32) and AES key (32). */
const TICKET_KEYS_OCTETS = 80;
/** Sessions that each identity may keep, however many there are. */
const SESSIONS_MIN = 100;
const MODE =
  openssl.SSL_MODE_ENABLE_PARTIAL_WRITE |
  openssl.SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
  openssl.SSL_MODE_RELEASE_BUFFERS | // who is idle holds no buffers
  openssl.SSL_MODE_NO_AUTO_CHAIN; // what is sent is what stands in the file
const VERSIONS = { "TLSv1.2": 0x0303, "TLSv1.3": 0x0304 } as const;
const ERROR_OCTETS = 256;
/** PEM texts are usually shorter. */
const SCRATCH_OCTETS = 16_384;

/** A copy of octets that the collector does not move. */
type Fixed = { readonly bytes: Buffer; readonly address: Address };

export type Identities = {
  /** @returns the context, whose ticket keys are those of now. @throws what OpenSSL says */
  contextOf(identity: TlsIdentity, contexts: TlsContexts, isChallenge: boolean): Address;
  /** The staple of what this session shows, in memory of OpenSSL that the caller owns; 0 octets: there is none. */
  stapleOf(identity: TlsIdentity, session: Address): { readonly address: Address; readonly octets: number };
  /** Contexts that were made and not released. */
  held(): number;
  close(): void;
};

/**
 * @param hooks addresses of what OpenSSL calls: to choose a protocol, to give a staple
 */
export function createIdentities(
  calls: openssl.OpensslCalls,
  hooks: { readonly protocol: Address; readonly staple: Address },
): Identities {
  const made = new Set<Made>();

  class Made {
    readonly context: Address;
    slot: number | undefined;
    /** By address of the certificate. */
    readonly staples = new Map<Address, Fixed>();
    constructor(context: Address) {
      this.context = context;
      made.add(this);
    }
    release(): void {
      if (made.delete(this)) calls.SSL_CTX_free(this.context);
    }
  }

  function fix(octets: Uint8Array): Fixed {
    const bytes = Buffer.allocUnsafeSlow(octets.length);
    bytes.set(octets);
    return { bytes, address: Number(calls.addressOf(bytes)) };
  }
  /** What calls read or write while they run. */
  let scratch = fix(new Uint8Array(SCRATCH_OCTETS));
  function stage(octets: Uint8Array): Address {
    if (octets.length > scratch.bytes.length) scratch = fix(octets);
    else scratch.bytes.set(octets);
    return scratch.address;
  }
  const EMPTY = fix(Uint8Array.of(0));

  /** @throws the first error of the queue, if a call did not return what it should */
  function must(result: Address): Address {
    if (result > 0) return result;
    calls.ERR_error_string_n(calls.ERR_peek_error(), scratch.address, ERROR_OCTETS);
    calls.ERR_clear_error();
    throw new Error(scratch.bytes.toString("latin1", 0, scratch.bytes.indexOf(0)));
  }

  /** Hands what a PEM text has of one kind to `each`, in its order. The phrase is empty: nobody is asked for one. */
  function readAll(
    read: (bio: Address, into: Address, ask: Address, phrase: Address) => Address,
    text: string,
    each: (found: Address, index: number) => void,
  ): void {
    const octets = Buffer.from(text);
    const bio = must(calls.BIO_new(calls.BIO_s_mem()));
    try {
      calls.BIO_write(bio, stage(octets), octets.length);
      for (let index = 0; ; index++) {
        const found = read(bio, 0, 0, EMPTY.address);
        if (found === 0) break;
        each(found, index);
      }
    } finally {
      calls.BIO_free(bio);
      calls.ERR_clear_error(); // the text ended
    }
  }

  function addCertificate({ context, staples }: Made, { cert, key }: CertificatePem, settings: TlsSettings): void {
    readAll(calls.PEM_read_bio_X509, cert, (certificate, index) => {
      if (index > 0) {
        must(calls.SSL_CTX_ctrl(context, openssl.SSL_CTRL_CHAIN_CERT, 0, certificate)); // it owns it from now on
        return;
      }
      const isUsed = calls.SSL_CTX_use_certificate(context, certificate);
      calls.X509_free(certificate);
      must(isUsed);
      if (settings.staples.size === 0) return;
      const digest = createHash("sha256").update(new X509Certificate(cert).raw).digest("hex");
      const staple = settings.staples.get(digest);
      if (staple !== undefined) staples.set(certificate, fix(staple));
    });
    readAll(calls.PEM_read_bio_PrivateKey, key, (found) => {
      const isUsed = calls.SSL_CTX_use_PrivateKey(context, found);
      calls.EVP_PKEY_free(found);
      must(isUsed);
    });
  }

  function askClients(context: Address, client: NonNullable<TlsSettings["policy"]["client"]>): void {
    const store = calls.SSL_CTX_get_cert_store(context);
    readAll(calls.PEM_read_bio_X509, client.ca, (certificate) => {
      calls.X509_STORE_add_cert(store, certificate);
      calls.SSL_CTX_add_client_CA(context, certificate);
      calls.X509_free(certificate);
    });
    if (client.crl !== undefined) {
      readAll(calls.PEM_read_bio_X509_CRL, client.crl, (list) => {
        calls.X509_STORE_add_crl(store, list);
        calls.X509_CRL_free(list);
      });
      calls.X509_STORE_set_flags(store, openssl.X509_V_FLAG_CRL_CHECK | openssl.X509_V_FLAG_CRL_CHECK_ALL);
    }
    const isRequired = client.mode === "require";
    const mode = openssl.SSL_VERIFY_PEER | (isRequired ? openssl.SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0);
    calls.SSL_CTX_set_verify(context, mode, 0);
  }

  function make(identity: TlsIdentity, { settings, identities }: TlsContexts, isChallenge: boolean): Made {
    const { policy, sessionIdContext, sessions } = settings;
    const one = new Made(must(calls.SSL_CTX_new(calls.TLS_server_method())));
    const { context } = one;
    const control = (command: number, number: number, pointer: Address = 0): number =>
      calls.SSL_CTX_ctrl(context, command, number, pointer);
    try {
      const { suites, ciphers } = cipherNames(policy);
      calls.SSL_CTX_set_options(context, SERVER_OPTIONS);
      const isOnly13 = policy.minVersion === "TLSv1.3" || ciphers.length === 0;
      must(control(openssl.SSL_CTRL_SET_MIN_PROTO_VERSION, VERSIONS[isOnly13 ? "TLSv1.3" : "TLSv1.2"]));
      must(calls.SSL_CTX_set_ciphersuites(context, suites.join(":")));
      if (ciphers.length > 0) must(calls.SSL_CTX_set_cipher_list(context, ciphers.join(":")));
      must(control(openssl.SSL_CTRL_SET_GROUPS_LIST, 0, stage(Buffer.from(`${GROUPS}\0`))));
      control(openssl.SSL_CTRL_MODE, MODE);
      control(openssl.SSL_CTRL_SET_READ_AHEAD, 1);
      control(openssl.SSL_CTRL_SET_SESS_CACHE_MODE, sessions === undefined ? 0 : openssl.SSL_SESS_CACHE_SERVER);
      if (sessions !== undefined) {
        const share = Math.max(SESSIONS_MIN, Math.floor(sessions.max / identities));
        control(openssl.SSL_CTRL_SET_SESS_CACHE_SIZE, Math.min(share, sessions.max));
      }
      const bound = Buffer.from(sessionIdContext);
      must(calls.SSL_CTX_set_session_id_context(context, stage(bound), bound.length));
      for (const certificate of identity.certificates) addCertificate(one, certificate, settings);
      if (policy.client !== undefined && !isChallenge) askClients(context, policy.client);
      calls.SSL_CTX_set_alpn_select_cb(context, hooks.protocol, 0);
      if (one.staples.size > 0)
        calls.SSL_CTX_callback_ctrl(context, openssl.SSL_CTRL_SET_TLSEXT_STATUS_REQ_CB, hooks.staple);
      return one;
    } catch (fault) {
      one.release();
      throw fault;
    }
  }

  function readyOf(identity: TlsIdentity): Made | undefined {
    const { ready } = identity;
    return ready instanceof Made ? ready : undefined;
  }

  return {
    contextOf(identity, contexts, isChallenge) {
      const { settings } = contexts;
      let ready = readyOf(identity);
      if (ready === undefined) {
        ready = make(identity, contexts, isChallenge);
        identity.ready?.release();
        identity.ready = ready;
      }
      const slot = contexts.ticketSlot();
      if (slot !== ready.slot) {
        const keys = stage(ticketKeysAt(settings.tickets, slot, TICKET_KEYS_OCTETS));
        calls.SSL_CTX_ctrl(ready.context, openssl.SSL_CTRL_SET_TLSEXT_TICKET_KEYS, TICKET_KEYS_OCTETS, keys);
        ready.slot = slot;
      }
      return ready.context;
    },
    stapleOf(identity, session) {
      const staple = readyOf(identity)?.staples.get(calls.SSL_get_certificate(session));
      if (staple === undefined) return NO_STAPLE;
      const octets = staple.bytes.length;
      return { address: calls.CRYPTO_memdup(staple.address, octets, 0, 0), octets };
    },
    held: () => made.size,
    close() {
      for (const each of [...made]) each.release();
    },
  };
}
const SERVER_OPTIONS = OPTIONS | openssl.SSL_OP_CIPHER_SERVER_PREFERENCE | openssl.SSL_OP_IGNORE_UNEXPECTED_EOF;
const NO_STAPLE = { address: 0, octets: 0 };
