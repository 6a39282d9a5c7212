/**
 * Seals API keys for the disk, so that a copied data directory does not give them away.
 *
 *     sealed    := version nonce tag encrypted
 *     version   := 0x01
 *     nonce     := 12 random bytes
 *     tag       := 16 bytes, AES-256-GCM's, over `encrypted` and the key's digest
 *     encrypted := the API key's UTF-8, by AES-256-GCM
 *
 * The cipher's key is HKDF-SHA256 of the secret key, so a seal is as strong as that: one that can be guessed can be
 * tried out on a copy. The digest belongs to what is sealed, so a seal cannot be moved to another row.
 */
import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from "node:crypto";

const CIPHER = "aes-256-gcm";
const VERSION = 1;
const KEY_BYTES = 32;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const NONCE_END = 1 + NONCE_BYTES;
const TAG_END = NONCE_END + TAG_BYTES;
/** Sets this use of the secret key apart from any other. */
const PURPOSE = "fluxiondb api key seal 1";

export type Sealing = { readonly text: string; readonly digest: Uint8Array };
export type Sealed = { readonly sealed: Uint8Array; readonly digest: Uint8Array };

export class KeySeal {
  readonly #key: Uint8Array;
  readonly #random: (size: number) => Uint8Array;

  constructor(secretKey: string, random: (size: number) => Uint8Array = randomBytes) {
    this.#key = new Uint8Array(hkdfSync("sha256", secretKey, "", PURPOSE, KEY_BYTES));
    this.#random = random;
  }

  seal({ text, digest }: Sealing): Uint8Array {
    const nonce = this.#random(NONCE_BYTES);
    const cipher = createCipheriv(CIPHER, this.#key, nonce, { authTagLength: TAG_BYTES });
    cipher.setAAD(digest);
    const encrypted = Buffer.concat([cipher.update(text, "utf8"), cipher.final()]);
    return new Uint8Array(Buffer.concat([Uint8Array.of(VERSION), nonce, cipher.getAuthTag(), encrypted]));
  }

  /** The sealed text, or undefined when it was sealed with another secret key, or is no seal of this digest. */
  open({ sealed, digest }: Sealed): string | undefined {
    if (sealed[0] !== VERSION || sealed.length < TAG_END) return undefined;
    const nonce = sealed.subarray(1, NONCE_END);
    const decipher = createDecipheriv(CIPHER, this.#key, nonce, { authTagLength: TAG_BYTES });
    decipher.setAAD(digest);
    decipher.setAuthTag(sealed.subarray(NONCE_END, TAG_END));
    const text = decipher.update(sealed.subarray(TAG_END));
    try {
      return Buffer.concat([text, decipher.final()]).toString("utf8");
    } catch {
      // The tag does not fit; the cipher has no other way to say so.
      return undefined;
    }
  }
}
