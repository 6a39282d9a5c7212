/**
 * All that is read of frames; message.ts alone is for engines that have no vectors.
 *
 * This folder is AssemblyScript, which is compiled to WebAssembly: here are integers of 64 bits and vectors of 16 bytes,
 * which JavaScript has not; and the engine's compilers, which take JavaScript three times, better each time, have done with
 * this in a quarter of the time. scanner_module.ts in src/server makes it ready.
 *
 * All memory is of a fixed size. Its loops want to be small: with several of them in one function the engine makes code of
 * it that takes up to ten times as long. And what the host passes has to be an integer: for a boolean, which is taken too, a
 * call takes 67 ns instead of 4.
 */
export * from "./message";
export { ROWS, ROWS_MAX, STOPPED, scan, TEXT, TEXT_BYTES, WRITTEN } from "./records";
