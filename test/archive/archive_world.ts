/**
 * A server with a client, and folders for archives.
 */
import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { FluxionDB } from "../../src/client/fluxiondb.ts";
import { MASTER_KEY, TestServer } from "../server/test_server.ts";
import { TemporaryFolder } from "../support/temporary_folder.ts";

export class ArchiveWorld implements AsyncDisposable {
  readonly server: TestServer;
  readonly db: FluxionDB;
  readonly folder = new TemporaryFolder();

  constructor(server = new TestServer()) {
    this.server = server;
    this.db = new FluxionDB({ url: server.url, apiKey: MASTER_KEY });
  }

  path(...names: readonly string[]): string {
    return this.folder.join(...names);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.db.close();
    await this.server.stop();
    this.folder[Symbol.dispose]();
  }
}

/** All files below a folder, with their texts. */
export function filesBelow(folder: string): Record<string, string> {
  const files: Record<string, string> = {};
  for (const name of (readdirSync(folder, { recursive: true }) as string[]).sort()) {
    const path = join(folder, name);
    if (statSync(path).isFile()) files[name] = readFileSync(path, "utf8");
  }
  return files;
}
