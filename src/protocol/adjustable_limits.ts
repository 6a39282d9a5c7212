/**
 * The limits that an operator can change, with their defaults: one row each, from which the options of `serve`, and
 * what each part of the server is held to, follow.
 */
import {
  COLLECTIONS_MAX,
  CONNECTIONS_MAX,
  CONNECTIONS_PER_KEY_MAX,
  CONNECTIONS_PER_SECOND_MAX,
  DOCUMENTS_MAX,
  FRAME_BYTES_MAX,
  FRAME_RECORDS_MAX,
  KEY_VALUES_MAX,
  NAME_LENGTH_MAX,
  PATTERN_LENGTH_MAX,
  RECORD_BYTES_MAX,
  REPLY_BYTES_MAX,
  WAITING_REPLIES_MAX,
} from "./limits.ts";

export const ADJUSTABLE_LIMITS = {
  connectionsMax: CONNECTIONS_MAX,
  connectionsPerKeyMax: CONNECTIONS_PER_KEY_MAX,
  connectionsPerSecondMax: CONNECTIONS_PER_SECOND_MAX,
  frameBytesMax: FRAME_BYTES_MAX,
  replyBytesMax: REPLY_BYTES_MAX,
  requestsInFlightMax: WAITING_REPLIES_MAX,
  frameRecordsMax: FRAME_RECORDS_MAX,
  recordBytesMax: RECORD_BYTES_MAX,
  nameLengthMax: NAME_LENGTH_MAX,
  patternLengthMax: PATTERN_LENGTH_MAX,
  collectionsMax: COLLECTIONS_MAX,
  documentsMax: DOCUMENTS_MAX,
  keyValuesMax: KEY_VALUES_MAX,
} as const;

export type AdjustableLimits = { readonly [Name in keyof typeof ADJUSTABLE_LIMITS]: number };
