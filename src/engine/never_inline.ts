/**
 * Keeps functions from being compiled into those that call them.
 *
 * The engine's last compiler copies what a function calls into it. Of a chain of functions, each called by the one
 * before, it so compiles the end once for each of them; and when one takes a branch for the first time, all that hold a
 * copy are thrown away and compiled anew. Between the network and the database there is such a chain, and every kind of
 * message that comes is a new branch in it: of 400,000 `gval` the compiler took 20 % of the CPU, and takes 4 % now.
 *
 * A call costs 2 to 5 ns more. So this is for what is called once a message, and is long or branches by message; what is
 * called once a record is copied where it is called, and ought to be.
 */
import * as jsc from "bun:jsc";

type AnyFunction = (...parameters: never[]) => unknown;

/** Of a private method only an instance knows, so those are named in constructors; naming one again costs next to nothing. */
export function neverInline(...functions: readonly AnyFunction[]): void {
  // Bun has it, and its types do not. Without it all is the same, but for the time that compiling takes.
  const { noInline } = jsc as { noInline?: (each: AnyFunction) => void };
  if (noInline === undefined) return;
  for (const each of functions) noInline(each);
}
