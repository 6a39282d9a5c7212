/**
 * Which build this is. The version and the commit are stamped in by scripts/build.ts.
 */
import { version as sourceVersion } from "../../package.json";

declare const FLUXIONDB_BUILD_VERSION: string | undefined;
declare const FLUXIONDB_BUILD_COMMIT: string | undefined;

export const VERSION: string =
  typeof FLUXIONDB_BUILD_VERSION === "string" ? FLUXIONDB_BUILD_VERSION : sourceVersion;
/** The commit's short hash, with `-dirty` behind it when files had changed since; `dev` when run from source. */
export const COMMIT: string = typeof FLUXIONDB_BUILD_COMMIT === "string" ? FLUXIONDB_BUILD_COMMIT : "dev";
