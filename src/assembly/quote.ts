/**
 * What stands before and behind a text: a quote, or in JSON that is itself in a string, an escaped one.
 */
import { QUOTE, QUOTE_IN_STRING } from "./ascii";

/* How many bytes they are. */
export const PLAIN_QUOTE: usize = 1;
export const ESCAPED_QUOTE: usize = 2;

/** Whether one stands at a place; `Quote` is an integer as long as it is. */
export function isQuote<Quote>(at: usize): boolean {
  return sizeof<Quote>() === ESCAPED_QUOTE ? load<u16>(at) === QUOTE_IN_STRING : load<u8>(at) === QUOTE;
}
