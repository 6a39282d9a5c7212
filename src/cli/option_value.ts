/**
 * Reads the values of options. Each reader names the option, what it expected and what it got.
 */
import { usageError } from "./command_error.ts";

export type Range = { readonly min: number; readonly max: number };

/** Turns an option's text into its value; `source` is the option as the user knows it. */
export type ValueReader<Value> = (text: string, source: string) => Value;

const BYTES_BY_UNIT: Readonly<Record<string, number>> = {
  "": 1,
  b: 1,
  kib: 2 ** 10,
  mib: 2 ** 20,
  gib: 2 ** 30,
};
const SIZE = /^([0-9]+(?:\.[0-9]+)?) ?([a-z]*)$/;
const DECIMAL = /^[0-9]+(?:\.[0-9]+)?$/;
const INTEGER = /^[0-9]+$/;

export function integerIn(range: Range): ValueReader<number> {
  const expected = `a whole number from ${range.min} to ${range.max}`;
  return (text, source) => {
    const value = INTEGER.test(text) ? Number(text) : Number.NaN;
    return isWithin(value, range) ? value : refuse(text, source, expected);
  };
}

/** Seconds, fractions allowed; the value is in milliseconds. */
export function secondsIn(range: Range): ValueReader<number> {
  const expected = `seconds from ${range.min} to ${range.max}`;
  return (text, source) => {
    const value = DECIMAL.test(text) ? Number(text) : Number.NaN;
    return isWithin(value, range) ? value * 1000 : refuse(text, source, expected);
  };
}

/** A size such as `16MiB`, `512 KiB` or `1048576`; the value is in bytes. */
export function sizeIn(range: Range): ValueReader<number> {
  const expected = `a size from ${describeSize(range.min)} to ${describeSize(range.max)}, such as 16MiB`;
  return (text, source) => {
    const [, digits = "", unit = ""] = SIZE.exec(text.trim().toLowerCase()) ?? [];
    const unitBytes = Object.hasOwn(BYTES_BY_UNIT, unit) ? BYTES_BY_UNIT[unit] : undefined;
    const value =
      digits === "" || unitBytes === undefined ? Number.NaN : Math.round(Number(digits) * unitBytes);
    return isWithin(value, range) ? value : refuse(text, source, expected);
  };
}

export function oneOf<Choice extends string>(choices: readonly Choice[]): ValueReader<Choice> {
  const expected = `${choices.slice(0, -1).join(", ")} or ${choices.at(-1)}`;
  return (text, source) =>
    choices.find((choice) => choice === text.toLowerCase()) ?? refuse(text, source, expected);
}

export const nonEmptyText: ValueReader<string> = (text, source) =>
  text === "" ? refuse(text, source, "some text") : text;

/** The largest unit that leaves a whole number: `16MiB`. */
export function describeSize(bytes: number): string {
  for (const [unit, unitBytes] of [
    ["GiB", 2 ** 30],
    ["MiB", 2 ** 20],
    ["KiB", 2 ** 10],
  ] as const) {
    if (bytes >= unitBytes && bytes % unitBytes === 0) return `${bytes / unitBytes}${unit}`;
  }
  return `${bytes}B`;
}

const isWithin = (value: number, { min, max }: Range): boolean => value >= min && value <= max;

function refuse(text: string, source: string, expected: string): never {
  throw usageError(`${source}: expected ${expected}, got ${JSON.stringify(text)}`);
}
