/**
 * What the npm package `fluxiondb` exports. The project itself imports from the files below.
 */
export type { ServerStatus } from "../protocol/server_status.ts";
export { type ClientErrorCode, FluxionError } from "./fluxion_error.ts";
export { FluxionDB, type FluxionDBOptions } from "./fluxiondb.ts";
export type { WebSocketConstructor } from "./link.ts";
export type {
  ApiKey,
  ApiKeyLimits,
  CallOptions,
  ConnectionInfo,
  ConnectionState,
  DataRecord,
  HistoryQuery,
  JsonValue,
  LatestQuery,
  NewRecord,
  PagedHistoryQuery,
  Predicates,
  RecordKey,
  Scope,
  Timestamp,
} from "./types.ts";
