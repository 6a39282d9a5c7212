/**
 * Starts the threads of the storage and opens what they serve; see worker.ts.
 */
import { WorkerLink } from "../threads/worker_link.ts";
import { StorageError } from "./storage.ts";

/** What the first call says. */
export type Role = {
  readonly role: "catalog" | "collections";
  readonly directory: string;
};

type Opening = { open(role: Role): void };

/** @throws what the service throws when it opens; the thread is left to itself then */
export async function openThread<Service>(worker: Worker, role: Role): Promise<WorkerLink<Service>> {
  const link = new WorkerLink<Service & Opening>(worker, {
    title: "A storage thread",
    rebuild: (name, message) => (name === "StorageError" ? new StorageError(message) : new Error(message)),
  });
  try {
    await (link as WorkerLink<Opening>).call("open", role);
  } catch (error) {
    link.leave();
    throw error;
  }
  return link as WorkerLink<Service>;
}
