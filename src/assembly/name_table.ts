/**
 * Names that are known, as the host writes them down: they are told apart by eight bytes at once.
 */

/** Of a table. */
export const NAMES_MAX: i32 = 16;
/** A name's bytes as a little-endian integer, those of them that count, how many they are, and what it is used for. */
export const NAME_ROW_BYTES: usize = 24;
const MASK: usize = 8;
const BYTES: usize = 16;
const USE: usize = 20;

/** Whether it is the one that stands at a place; what is behind it is not looked at. */
export function isName(row: usize, at: usize): boolean {
  return (load<u64>(at) & load<u64>(row, MASK)) === load<u64>(row);
}

export function nameBytes(row: usize): usize {
  return load<u32>(row, BYTES);
}

export function nameUse(row: usize): u32 {
  return load<u32>(row, USE);
}
