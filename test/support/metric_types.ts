/**
 * All metrics of a server that keeps its data on a disk, without the prefix of their names.
 */

export const METRIC_TYPES = {
  ready: "gauge",
  build_info: "gauge",
  uptime_seconds: "gauge",
  collections: "gauge",
  documents: "gauge",
  records: "gauge",
  key_values: "gauge",
  connections: "gauge",
  memory_used_bytes: "gauge",
  memory_limit_bytes: "gauge",
  memory_resident_bytes: "gauge",
  cpu_seconds_total: "counter",
  requests_total: "counter",
  request_errors_total: "counter",
  request_duration_seconds: "histogram",
  connections_total: "counter",
  connections_refused_total: "counter",
  event_loop_delay_seconds: "histogram",
  disk_data_bytes: "gauge",
  disk_journal_bytes: "gauge",
  journal_lag_seconds: "gauge",
  commit_duration_seconds: "histogram",
  checkpoints_total: "counter",
  checkpoint_failures_total: "counter",
  checkpoint_age_seconds: "gauge",
  checkpoint_duration_seconds: "gauge",
} as const;
