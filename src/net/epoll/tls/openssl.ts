/**
 * The functions of OpenSSL that this program was linked with, and the numbers that go with them.
 *
 * Owns:    their signatures, and whether this Node has them all, in a version that we know.
 * Rule:    contexts, sessions and BIOs are addresses; 0: there is none. What a call leaves in the queue of errors of this
 *          thread is taken away by who called.
 * @module
 */
import { loadNative, type Native } from "#base/native/load.ts";
import type { Address } from "#net/epoll/load.ts";

export type OpensslCalls = Native & {
  BIO_free(bio: Address): number;
  BIO_new(method: Address): Address;
  BIO_new_socket(descriptor: number, isClosing: number): Address;
  BIO_number_read(bio: Address): number;
  BIO_s_mem(): Address;
  BIO_up_ref(bio: Address): number;
  BIO_write(bio: Address, octets: Address, count: number): number;
  CRYPTO_memdup(octets: Address, count: number, file: Address, line: number): Address;
  ERR_clear_error(): void;
  ERR_error_string_n(error: number, text: Address, octets: number): void;
  ERR_peek_error(): number;
  EVP_PKEY_free(key: Address): void;
  PEM_read_bio_PrivateKey(bio: Address, into: Address, ask: Address, phrase: Address): Address;
  PEM_read_bio_X509(bio: Address, into: Address, ask: Address, phrase: Address): Address;
  PEM_read_bio_X509_CRL(bio: Address, into: Address, ask: Address, phrase: Address): Address;
  SSL_CIPHER_standard_name(cipher: Address): string;
  SSL_CTX_add_client_CA(context: Address, certificate: Address): number;
  SSL_CTX_callback_ctrl(context: Address, command: number, callback: Address): number;
  SSL_CTX_ctrl(context: Address, command: number, number: number, pointer: Address): number;
  SSL_CTX_free(context: Address): void;
  SSL_CTX_get_cert_store(context: Address): Address;
  SSL_CTX_new(method: Address): Address;
  SSL_CTX_set_alpn_select_cb(context: Address, callback: Address, argument: Address): void;
  SSL_CTX_set_cipher_list(context: Address, names: string): number;
  SSL_CTX_set_ciphersuites(context: Address, names: string): number;
  SSL_CTX_set_options(context: Address, options: number): number;
  SSL_CTX_set_session_id_context(context: Address, octets: Address, count: number): number;
  SSL_CTX_set_verify(context: Address, mode: number, callback: Address): void;
  SSL_CTX_use_PrivateKey(context: Address, key: Address): number;
  SSL_CTX_use_certificate(context: Address, certificate: Address): number;
  SSL_ctrl(session: Address, command: number, number: number, pointer: Address): number;
  SSL_do_handshake(session: Address): number;
  SSL_free(session: Address): void;
  SSL_get0_peer_certificate(session: Address): Address;
  SSL_get_certificate(session: Address): Address;
  SSL_get_current_cipher(session: Address): Address;
  SSL_get_error(session: Address, result: number): number;
  SSL_has_pending(session: Address): number;
  SSL_new(context: Address): Address;
  SSL_read(session: Address, octets: Address, count: number): number;
  SSL_set0_rbio(session: Address, bio: Address): void;
  SSL_set0_wbio(session: Address, bio: Address): void;
  SSL_set_accept_state(session: Address): void;
  SSL_set_shutdown(session: Address, mode: number): void;
  SSL_shutdown(session: Address): number;
  SSL_version(session: Address): number;
  SSL_write(session: Address, octets: Address, count: number): number;
  TLS_server_method(): Address;
  X509_CRL_free(list: Address): void;
  X509_STORE_add_cert(store: Address, certificate: Address): number;
  X509_STORE_add_crl(store: Address, list: Address): number;
  X509_STORE_set_flags(store: Address, flags: number): number;
  X509_free(certificate: Address): void;
  i2d_X509(certificate: Address, into: Address): number;
  memcpy(to: Address, from: Address, octets: number): Address;
};

/** Types of the results and of the parameters, in the letters of `TYPES`. */
const SIGNATURES: Readonly<Record<Exclude<keyof OpensslCalls, keyof Native>, string>> = {
  BIO_free: "i p",
  BIO_new: "p p",
  BIO_new_socket: "p ii",
  BIO_number_read: "u p", // of 64 bits, the lower 32
  BIO_s_mem: "p ",
  BIO_up_ref: "i p",
  BIO_write: "i ppi",
  CRYPTO_memdup: "p pspi",
  ERR_clear_error: "v ",
  ERR_error_string_n: "v ups",
  ERR_peek_error: "u ",
  EVP_PKEY_free: "v p",
  PEM_read_bio_PrivateKey: "p pppp",
  PEM_read_bio_X509: "p pppp",
  PEM_read_bio_X509_CRL: "p pppp",
  SSL_CIPHER_standard_name: "t p",
  SSL_CTX_add_client_CA: "i pp",
  SSL_CTX_callback_ctrl: "l pip",
  SSL_CTX_ctrl: "l pilp",
  SSL_CTX_free: "v p",
  SSL_CTX_get_cert_store: "p p",
  SSL_CTX_new: "p p",
  SSL_CTX_set_alpn_select_cb: "v ppp",
  SSL_CTX_set_cipher_list: "i pt",
  SSL_CTX_set_ciphersuites: "i pt",
  SSL_CTX_set_options: "w pw",
  SSL_CTX_set_session_id_context: "i ppu",
  SSL_CTX_set_verify: "v pip",
  SSL_CTX_use_PrivateKey: "i pp",
  SSL_CTX_use_certificate: "i pp",
  SSL_ctrl: "l pilp",
  SSL_do_handshake: "i p",
  SSL_free: "v p",
  SSL_get0_peer_certificate: "p p",
  SSL_get_certificate: "p p",
  SSL_get_current_cipher: "p p",
  SSL_get_error: "i pi",
  SSL_has_pending: "i p",
  SSL_new: "p p",
  SSL_read: "i ppi",
  SSL_set0_rbio: "v pp",
  SSL_set0_wbio: "v pp",
  SSL_set_accept_state: "v p",
  SSL_set_shutdown: "v pi",
  SSL_shutdown: "i p",
  SSL_version: "i p",
  SSL_write: "i ppi",
  TLS_server_method: "p ",
  X509_CRL_free: "v p",
  X509_STORE_add_cert: "i pp",
  X509_STORE_add_crl: "i pp",
  X509_STORE_set_flags: "i pw",
  X509_free: "v p",
  i2d_X509: "i pp",
  memcpy: "p pps",
};
const TYPES: Readonly<Record<string, string>> = {
  i: "int",
  l: "long",
  p: "uintptr_t",
  s: "size_t",
  t: "const char *",
  u: "uint32_t",
  v: "void",
  w: "uint64_t",
};

// openssl/ssl.h, openssl/tls1.h, openssl/x509_vfy.h of OpenSSL 3
export const SSL_ERROR_WANT_READ = 2;
export const SSL_ERROR_WANT_WRITE = 3;
export const SSL_ERROR_ZERO_RETURN = 6;
export const SSL_CTRL_MODE = 33;
export const SSL_CTRL_SET_READ_AHEAD = 41;
export const SSL_CTRL_SET_SESS_CACHE_SIZE = 42;
export const SSL_CTRL_SET_SESS_CACHE_MODE = 44;
export const SSL_CTRL_SET_TLSEXT_TICKET_KEYS = 59;
export const SSL_CTRL_SET_TLSEXT_STATUS_REQ_CB = 63;
export const SSL_CTRL_SET_TLSEXT_STATUS_REQ_OCSP_RESP = 71;
export const SSL_CTRL_CHAIN_CERT = 89;
export const SSL_CTRL_SET_GROUPS_LIST = 92;
export const SSL_CTRL_SET_MIN_PROTO_VERSION = 123;
export const SSL_MODE_ENABLE_PARTIAL_WRITE = 1;
export const SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER = 2;
export const SSL_MODE_NO_AUTO_CHAIN = 8;
export const SSL_MODE_RELEASE_BUFFERS = 16;
export const SSL_OP_IGNORE_UNEXPECTED_EOF = 1 << 7;
export const SSL_OP_CIPHER_SERVER_PREFERENCE = 1 << 22;
export const SSL_SESS_CACHE_SERVER = 2;
export const SSL_SENT_AND_RECEIVED_SHUTDOWN = 3;
export const SSL_TLSEXT_ERR_OK = 0;
export const SSL_TLSEXT_ERR_ALERT_FATAL = 2;
export const SSL_TLSEXT_ERR_NOACK = 3;
export const SSL_VERIFY_PEER = 1;
export const SSL_VERIFY_FAIL_IF_NO_PEER_CERT = 2;
export const X509_V_FLAG_CRL_CHECK = 4;
export const X509_V_FLAG_CRL_CHECK_ALL = 8;

/** @returns the calls, or why there are none */
export function loadOpenssl(): OpensslCalls | string {
  const { openssl = "none" } = process.versions;
  if (!openssl.startsWith("3.")) return `OpenSSL 3 is needed, and this Node has ${openssl}`;
  return loadNative<OpensslCalls>(prototypesOf(SIGNATURES), "the epoll driver");
}

function prototypesOf<Name extends string>(signatures: Readonly<Record<Name, string>>): Record<Name, string> {
  const prototypes = Object.entries<string>(signatures).map(([name, signature]) => {
    const [result, parameters] = signature.split(" ") as [string, string];
    return [name, `${TYPES[result]} ${name}(${Array.from(parameters, (letter) => TYPES[letter]).join(", ")})`];
  });
  return Object.fromEntries(prototypes) as Record<Name, string>;
}
