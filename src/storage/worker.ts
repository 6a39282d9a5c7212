/**
 * A thread of the storage: answers calls of the main thread with what SQLite says, one after another.
 *
 * There are two of them, so that a change of API keys never waits for a checkpoint: `catalog` and `collections`.
 */
import { callMethod, serveCalls } from "../threads/worker_service.ts";
import { Catalog } from "./catalog.ts";
import { CollectionFiles } from "./collection_files.ts";
import type { Role } from "./storage_thread.ts";

let service: Catalog | CollectionFiles;

serveCalls((method, args) => {
  if (method !== "open") return callMethod(service, method, args);
  const { role, directory } = args[0] as Role;
  service = role === "catalog" ? new Catalog({ directory }) : new CollectionFiles({ directory });
  return undefined;
});
