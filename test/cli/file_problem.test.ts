import { expect, test } from "bun:test";
import { mkdirSync, writeFileSync } from "node:fs";
import { explainingFiles } from "../../src/cli/file_problem.ts";
import { runProgram } from "../support/program.ts";
import { TemporaryFolder } from "../support/temporary_folder.ts";

test("what the system refuses is told with what to do", async () => {
  using folder = new TemporaryFolder();
  const file = folder.join("file");
  const directory = folder.join("folder");
  writeFileSync(file, "x");
  mkdirSync(directory);
  for (const [args, message] of [
    [["serve", "--port", "0", "--data", file], `${file}: a file is in the way. Give a folder`],
    [["serve", "--port", "0", "--data", `${file}/x`], `${file}/x: a part of its path is a file`],
    [["restore", "--in", directory, "--data", `${folder.path}/y`], "is a folder. Give the file of a backup"],
    [["restore", "--in", file, "--data", `${file}/y`], "a part of it is a file, not a folder"],
  ] as const) {
    const { exitCode, stdout, stderr } = await runProgram(args);
    expect({ exitCode, stdout }).toEqual({ exitCode: 1, stdout: "" });
    expect(stderr).toContain(message);
    expect(stderr).not.toMatch(/E[A-Z]{4,}:/);
  }
});

test("who may not write to a folder is told so", async () => {
  // Root, as whom tests may run, may write everywhere.
  const refused = Object.assign(new Error("EACCES: permission denied, mkdir"), {
    code: "EACCES",
    path: "ro/y",
  });
  const outcome = await explainingFiles(() => Promise.reject(refused)).catch((error: Error) => error);
  expect(outcome).toMatchObject({
    name: "CommandError",
    message: "ro/y: this user may not open or write it. Change its permissions, or give another place",
  });
});
