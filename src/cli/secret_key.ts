/**
 * The secret key of a server: given on the command line or in a file, or made on the first run and kept.
 */
import { randomBytes } from "node:crypto";
import { closeSync, fsyncSync, openSync, readFileSync, writeSync } from "node:fs";
import { dirname, join } from "node:path";
import { API_KEY_LENGTH_MAX } from "../protocol/limits.ts";
import { syncFolder } from "../storage/folder.ts";
import { CommandError, usageError } from "./command_error.ts";
import { writeNote } from "./output.ts";

export type SecretKey = {
  readonly text: string;
  /** Where it was made just now, so that its owner has to be told; undefined when its owner gave it. */
  readonly made?: { readonly keptIn: string | undefined };
};

/** Files are for their owner alone, whoever creates them. */
export const FILE_MASK = 0o077;

const RANDOM_BYTES = 20;
const KEPT_FILE = "secret.key";

/** @throws CommandError when the key cannot be used, or its file cannot be read */
export function givenSecretKey(options: {
  key: string | undefined;
  file: string | undefined;
}): SecretKey | undefined {
  const { key, file } = options;
  if (key !== undefined) return { text: checked(key, "--secret-key") };
  return file === undefined ? undefined : { text: readGivenFile(file) };
}

/** The key that an earlier run has kept in an existing data directory, or a new one, which is kept there. */
export function ownSecretKey(directory: string | undefined): SecretKey {
  if (directory === undefined) return { text: makeKey(), made: { keptIn: undefined } };
  const keptIn = join(directory, KEPT_FILE);
  const kept = readKept(keptIn);
  if (kept !== undefined) return { text: kept };
  const text = makeKey();
  keep(keptIn, text);
  return { text, made: { keptIn } };
}

/** The key that an earlier run has kept in a data directory. @throws CommandError */
export const keptSecretKey = (directory: string): string | undefined => readKept(join(directory, KEPT_FILE));

/** The one time that a key is shown. It never goes through the log. */
export function announceKey({ text, made }: SecretKey): void {
  if (made === undefined) return;
  const fate =
    made.keptIn === undefined ? "for this run only" : `kept in ${made.keptIn}, and not shown again`;
  writeNote(`\nMade a secret key, ${fate}:\n\n    ${text}\n\n`);
}

/** Hexadecimal: fits into a URL as it is, and a double click selects all of it. */
const makeKey = (): string => randomBytes(RANDOM_BYTES).toString("hex");

function readGivenFile(file: string): string {
  try {
    return checked(readKeyFile(file), `--secret-key-file ${file}`);
  } catch (error) {
    if (error instanceof CommandError) throw error;
    throw usageError(`--secret-key-file: cannot read ${file}: ${(error as Error).message}`);
  }
}

function readKept(file: string): string | undefined {
  let text: string;
  try {
    text = readKeyFile(file);
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw new CommandError(`Cannot read the secret key in ${file}: ${(cause as Error).message}`, { cause });
  }
  if (text !== "") return text;
  throw new CommandError(
    `${file} is empty: write the secret key into it, or remove it to have a new one made`,
  );
}

/** Editors end a file with a line break, which is no part of the key. */
const readKeyFile = (file: string): string => readFileSync(file, "utf8").replace(/\r?\n$/, "");

function keep(file: string, text: string): void {
  try {
    const handle = openSync(file, "wx", 0o600);
    try {
      writeSync(handle, `${text}\n`);
      fsyncSync(handle);
    } finally {
      closeSync(handle);
    }
    syncFolder(dirname(file));
  } catch (cause) {
    throw new CommandError(`Cannot keep the secret key in ${file}: ${(cause as Error).message}`, { cause });
  }
}

/** The text of a key is never quoted. */
function checked(text: string, source: string): string {
  if (text === "") throw usageError(`${source}: expected a secret key, got an empty one`);
  if (text.length > API_KEY_LENGTH_MAX) {
    throw usageError(
      `${source}: expected a secret key of at most ${API_KEY_LENGTH_MAX} characters, got ${text.length}`,
    );
  }
  return text;
}
