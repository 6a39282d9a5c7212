/**
 * What another process of this machine has used so far, on Linux.
 */
import { readFileSync } from "node:fs";

export type ProcessUsage = {
  /** Of all its threads, in user and system mode. */
  readonly cpuSeconds: number;
  /** Resident memory. */
  readonly memoryBytes: number;
};

/** The kernel's clock ticks a second, as programs see them. */
const TICKS_A_SECOND = 100;
/** Places in /proc/PID/stat behind the command's name. */
const USER_TICKS = 11;
const SYSTEM_TICKS = 12;

/** @throws Error when there is no such process, or the system is another one */
export function usageOf(pid: number): ProcessUsage {
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  // The name is in brackets and may hold anything.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  return {
    cpuSeconds: (Number(fields[USER_TICKS]) + Number(fields[SYSTEM_TICKS])) / TICKS_A_SECOND,
    memoryBytes: Number(/VmRSS:\s+(\d+)/.exec(status)?.[1] ?? 0) * 1024,
  };
}
