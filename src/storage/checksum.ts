/**
 * What tells a damaged row: CRC-32 over what the row says and over its body.
 */

/** `header` is all that the row says beside its body, so that a body in the wrong row is noticed too. */
export function checksumOf(header: string, body: Uint8Array | string = ""): number {
  return Bun.hash.crc32(body, Bun.hash.crc32(header));
}
