/**
 * What is asked of the latest records: those at or before a time, not before another, that match.
 */
import type { Timestamp } from "../protocol/timestamp.ts";
import type { Predicate } from "./predicate.ts";

export type LatestQuestion = {
  readonly at: Timestamp;
  readonly from: Timestamp;
  readonly predicate: Predicate | undefined;
};
