/**
 * How large a file is.
 */
import { statSync } from "node:fs";

/** In bytes; 0 where there is none. */
export function fileBytes(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0;
}
