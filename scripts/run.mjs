/**
 * Runs a script with the project's own Bun, after installing what is missing. This one file runs in Node.js.
 *
 *   node scripts/run.mjs FILE [ARGUMENT…]
 *
 * The lock file's copy inside node_modules tells whether an installation is complete and of this version, so a
 * pulled change of the lock file installs again and an unchanged one costs a few milliseconds.
 */
import { spawn, spawnSync } from "node:child_process";
import { copyFileSync, existsSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { constants } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const lockFile = join(root, "package-lock.json");
const installedLockFile = join(root, "node_modules", ".fluxiondb-lock.json");

function isInstalled() {
  return existsSync(installedLockFile) && readFileSync(installedLockFile).equals(readFileSync(lockFile));
}

function install() {
  console.error("Installing what is missing (npm install) …");
  const npm = process.platform === "win32" ? "npm.cmd" : "npm";
  // Not `npm ci`: it refuses a lock file that lacks other systems' optional packages, as a registry's mirror may.
  const { status } = spawnSync(npm, ["install", "--no-save", "--no-audit", "--no-fund"], {
    cwd: root,
    // The script's own output is what the caller wants on standard output.
    stdio: ["ignore", 2, 2],
    shell: process.platform === "win32",
  });
  if (status !== 0) process.exit(status ?? 1);
  copyFileSync(lockFile, installedLockFile);
}

function bunBinary() {
  const binary = join(root, "node_modules", "bun", "bin", "bun.exe");
  // npm 11 and later may skip install scripts; the package's own installer then has to be run here.
  if (spawnSync(binary, ["--version"]).status !== 0) {
    const installer = createRequire(import.meta.url).resolve("bun/install.js");
    const { status } = spawnSync(process.execPath, [installer], { stdio: ["ignore", 2, 2] });
    if (status !== 0) process.exit(status ?? 1);
  }
  return binary;
}

if (!isInstalled()) install();
const child = spawn(bunBinary(), process.argv.slice(2), { stdio: "inherit" });
// A terminal's Ctrl-C reaches the child by itself, and the server takes the second one for the same.
for (const signal of ["SIGTERM", "SIGHUP", "SIGINT"]) process.on(signal, () => child.kill(signal));
child.on("error", (error) => {
  console.error(`Cannot run Bun: ${error.message}`);
  process.exit(1);
});
child.on("exit", (code, signal) => {
  // As a shell says it; to die of the same signal would end in the handlers above.
  process.exit(signal ? 128 + constants.signals[signal] : (code ?? 1));
});
