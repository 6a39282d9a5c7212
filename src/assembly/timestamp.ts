/**
 * Timestamps, in decimal digits.
 */
import { CLOSE_BRACE, COMMA, DOT, MINUS, SPACE, ZERO } from "./ascii";
import { isQuote } from "./quote";

const DIGITS_MAX: usize = 19;
/** With its sign. */
export const TIMESTAMP_BYTES_MAX: usize = 1 + DIGITS_MAX;

/** The timestamp that was read last, and where its digits end in the text. */
export let timestamp: i64 = 0;
export let digitsEnd: usize = 0;

/**
 * Reads an integer, also as a string or with a fraction, which is cut off, and copies its digits. Returns where it ends, or
 * 0.
 */
export function scanTimestamp<Quote>(start: usize, target: usize): usize {
  let at = start;
  let to = target;
  const isText = isQuote<Quote>(at);
  if (isText) at += sizeof<Quote>();
  const isNegative = load<u8>(at) === MINUS;
  if (isNegative) {
    store<u8>(to++, MINUS);
    at++;
  }
  const firstDigit = at;
  let value: u64 = 0;
  for (;;) {
    const word = load<u64>(at);
    if (!areDigits(word)) break;
    store<u64>(to, word);
    value = value * 100_000_000 + digitsValue(word);
    at += 8;
    to += 8;
  }
  for (;;) {
    const byte = load<u8>(at);
    if (!isDigit(byte)) break;
    store<u8>(to++, byte);
    value = value * 10 + (byte - ZERO);
    at++;
  }
  const digits = at - firstDigit;
  // The one number beyond these that is in range, -2^63, is left to the schema.
  if (digits === 0 || digits > DIGITS_MAX || value > (i64.MAX_VALUE as u64)) return 0;
  if (load<u8>(firstDigit) === ZERO && (digits > 1 || isNegative)) return 0;
  if (!isText) at = fractionEnd(at);
  else {
    if (!isQuote<Quote>(at)) return 0;
    at += sizeof<Quote>();
  }
  const next = load<u8>(at);
  if (next !== COMMA && next !== CLOSE_BRACE && next !== SPACE) return 0;
  timestamp = isNegative ? -(value as i64) : (value as i64);
  digitsEnd = to;
  return at;
}

/** How many bytes the digits of the timestamp at a place take, with its sign. */
export function timestampBytes<Quote>(start: usize): usize {
  const first = isQuote<Quote>(start) ? start + sizeof<Quote>() : start;
  let at = first;
  if (load<u8>(at) === MINUS) at++;
  while (isDigit(load<u8>(at))) at++;
  return at - first;
}

export function fractionEnd(start: usize): usize {
  if (load<u8>(start) !== DOT) return start;
  let at = start + 1;
  while (isDigit(load<u8>(at))) at++;
  return at > start + 1 ? at : start;
}

export function isDigit(byte: u8): boolean {
  return byte - ZERO < 10;
}

/** Whether all eight bytes are digits. */
export function areDigits(word: u64): boolean {
  return (word & (word + 0x0606_0606_0606_0606) & 0xf0f0_f0f0_f0f0_f0f0) === 0x3030_3030_3030_3030;
}

/** The number that eight digits are, the first one in the lowest byte: pairs, fours and eights are put together at once. */
export function digitsValue(word: u64): u64 {
  const digits = word & 0x0f0f_0f0f_0f0f_0f0f;
  const pairs = digits * 10 + (digits >> 8);
  const fronts = (pairs & 0xff_0000_00ff) * 0xf_4240_0000_0064;
  const backs = ((pairs >> 16) & 0xff_0000_00ff) * 0x2710_0000_0001;
  return (fronts + backs) >> 32;
}
