/**
 * Who this node is to the others: its Ed25519 key (RFC 8032), and the public keys of those who may write records.
 *
 * Owns:    the file `cluster.key` in the state folder (PKCS #8, PEM, mode 600), made when it is first asked for.
 * Never:   shows the private key, or puts it into a backup.
 * @module
 */
import {
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  sign as signOctets,
  verify as verifyOctets,
} from "node:crypto";
import {
  chmodSync,
  closeSync,
  fsyncSync,
  linkSync,
  mkdirSync,
  openSync,
  readFileSync,
  rmSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import { RhumbError } from "#base/errors.ts";
import { type Line, signedText } from "#cluster/seal.ts";
import { type EnrolledNode, KEY_PREFIX, NODE_KEY_PATTERN } from "#state/cluster.ts";

export const KEY_FILE = "cluster.key";

export type Identity = {
  /** What others enrol: `ed25519:` and 32 octets in base64. */
  readonly publicKey: string;
  /** @returns 86 characters of base64url */
  sign(text: string): string;
};

const identityOf = (privateKey: KeyObject): Identity => ({
  publicKey: publicText(createPublicKey(privateKey)),
  sign: (text) => signOctets(null, Buffer.from(text), privateKey).toString("base64url"),
});
const publicText = (key: KeyObject): string =>
  KEY_PREFIX + Buffer.from(key.export({ format: "jwk" }).x!, "base64url").toString("base64");

/** An identity that ends with the process: nobody has enrolled it. */
export const createIdentity = (): Identity => identityOf(generateKeyPairSync("ed25519").privateKey);

/**
 * Opens this node's key, or makes it.
 * @throws RhumbError RHUMB_CLUSTER_KEY when the file cannot be read or made, or holds something else
 */
export function openIdentity(folder: string): Identity {
  const file = join(folder, KEY_FILE);
  try {
    const key = createPrivateKey(readOrMake(folder, file));
    if (key.asymmetricKeyType !== "ed25519") throw new Error(`it is a key of ${key.asymmetricKeyType}`);
    return identityOf(key);
  } catch (error) {
    throw new RhumbError("RHUMB_CLUSTER_KEY", `${file}: ${(error as Error).message}`, { cause: error });
  }
}
function readOrMake(folder: string, file: string): string {
  try {
    const text = readFileSync(file, "utf8");
    chmodSync(file, 0o600);
    return text;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
  }
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const made = generateKeyPairSync("ed25519").privateKey.export({ type: "pkcs8", format: "pem" }).toString();
  // It appears under its name whole, or not at all; where two processes make one, the first is kept by both.
  const partial = `${file}.${process.pid}`;
  const descriptor = openSync(partial, "w", 0o600);
  try {
    writeSync(descriptor, made);
    fsyncSync(descriptor);
    linkSync(partial, file);
    return made;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
    return readFileSync(file, "utf8");
  } finally {
    closeSync(descriptor);
    rmSync(partial, { force: true });
  }
}

export type Keyring = {
  knows(node: string): boolean;
  /** Whether the enrolled key of the node that the line names signed it. */
  verify(line: Line): boolean;
};

/** Keys that cannot be read (`config/` refuses them) verify nothing. */
export function createKeyring(nodes: readonly EnrolledNode[]): Keyring {
  const keys = new Map<string, KeyObject>();
  for (const { name, key } of nodes) {
    if (!NODE_KEY_PATTERN.test(key)) continue;
    const x = Buffer.from(key.slice(KEY_PREFIX.length), "base64").toString("base64url");
    keys.set(name, createPublicKey({ key: { kty: "OKP", crv: "Ed25519", x }, format: "jwk" }));
  }
  return {
    knows: (node) => keys.has(node),
    verify({ version, payload, signature }) {
      const key = keys.get(version.node);
      const octets = Buffer.from(signature, "base64url");
      // One signature, one text: the last character has bits that say nothing.
      if (!key || octets.toString("base64url") !== signature) return false;
      return verifyOctets(null, Buffer.from(signedText(payload)), key, octets);
    },
  };
}
