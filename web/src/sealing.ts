// What a person types, sealed to the keeper (docs/formats/sealed.md). Control relays it and cannot read it. This keeps a secret
// out of a control that leaks or logs; a control that was taken over could serve another page than this one.
import { ApiError, ask } from "./api";
import { fromBase64, fromHex, joined, sha256, toBase64, utf8, type Bytes } from "./bytes";
import { assured, doubt } from "./proof";

export const FIELD = { passphrase: 1, value: 3, keyFile: 4, consent: 6, verifier: 7 } as const;

export type SealedField = [tag: number, value: string | Bytes];

export interface Sealing {
  operation: string;
  path?: string;
  metadata?: string;
  fields: SealedField[];
}

interface Nonce {
  nonce: string;
  key_id: string;
  public_key: string;
}

const NAME = utf8("aileron-sealed-1");
const FIELDS_MAX = 64 * 1024;

function u32(value: number): Bytes {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, value, true);
  return bytes;
}

function sized(text: string): Bytes {
  const bytes = utf8(text);
  return joined(u32(bytes.length), bytes);
}

let possible: Promise<boolean> | undefined;

/** Whether this browser has X25519; without it, secrets are typed at the command line. */
export function canSeal(): Promise<boolean> {
  possible ??= (async () => {
    try {
      await crypto.subtle.generateKey({ name: "X25519" }, false, ["deriveBits"]);
      return true;
    } catch {
      return false;
    }
  })();
  return possible;
}

function fieldsOf(sealing: Sealing): Bytes {
  return joined(
    ...sealing.fields.map(([tag, value]) => {
      const bytes = typeof value === "string" ? utf8(value) : value;
      if (bytes.length > FIELDS_MAX) throw new ApiError(0, "too_large", "that is more than 64 KiB");
      return joined(Uint8Array.of(tag), u32(bytes.length), bytes);
    }),
  );
}

async function deriveKey(keeper: Bytes, own: CryptoKeyPair, ownPublic: Bytes): Promise<[CryptoKey, Bytes]> {
  const theirs = await crypto.subtle.importKey("raw", keeper, { name: "X25519" }, false, []);
  const shared = await crypto.subtle.deriveBits({ name: "X25519", public: theirs }, own.privateKey, 256);
  const secret = await crypto.subtle.importKey("raw", shared, "HKDF", false, ["deriveBits"]);
  const hkdf = { name: "HKDF", hash: "SHA-256", salt: joined(ownPublic, keeper), info: NAME };
  const bytes = new Uint8Array(await crypto.subtle.deriveBits(hkdf, secret, 44 * 8));
  const key = await crypto.subtle.importKey("raw", bytes.slice(0, 32), "AES-GCM", false, ["encrypt"]);
  return [key, bytes.slice(32)];
}

async function seal(sealing: Sealing): Promise<string> {
  const said = await ask<Nonce>("POST", "/v1/vault/nonce");
  // Whose key it is: a proof that is newer than the answer says that this was the daemon's.
  doubt();
  await assured();
  const keeper = fromHex(said.public_key);
  const nonce = fromBase64(said.nonce);
  const keyId = (await sha256(keeper)).slice(0, 8);
  const own = (await crypto.subtle.generateKey({ name: "X25519" }, false, ["deriveBits"])) as CryptoKeyPair;
  const ownPublic = new Uint8Array(await crypto.subtle.exportKey("raw", own.publicKey));
  const [key, iv] = await deriveKey(keeper, own, ownPublic);
  const about = joined(NAME, Uint8Array.of(0), keyId, nonce, sized(sealing.operation), sized(sealing.path ?? ""), sized(sealing.metadata ?? ""));
  const plain = fieldsOf(sealing);
  const locked = new Uint8Array(await crypto.subtle.encrypt({ name: "AES-GCM", iv, additionalData: about }, key, plain));
  plain.fill(0);
  return toBase64(joined(Uint8Array.of(1), keyId, nonce, ownPublic, locked));
}

/** Seals and sends; once more when the keeper was replaced in between. */
export async function askSealed<T>(method: string, path: string, sealing: Sealing, body: (sealed: string) => object): Promise<T> {
  try {
    return await ask<T>(method, path, body(await seal(sealing)));
  } catch (error) {
    if (!(error instanceof ApiError) || error.code !== "sealed_refused") throw error;
    return await ask<T>(method, path, body(await seal(sealing)));
  }
}
