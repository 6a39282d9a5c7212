/**
 * The certificate and its key, from files, checked before anybody depends on them.
 */
import { createPrivateKey, X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import type { TlsKeyPair } from "../server/server.ts";
import { CommandError } from "./command_error.ts";

export type TlsFiles = { readonly cert: string; readonly key: string };

/** @throws CommandError that names the file and says what is wrong with it */
export function readTlsFiles(files: TlsFiles): TlsKeyPair {
  const cert = read("--tls-cert", files.cert);
  const key = read("--tls-key", files.key);
  const certificate = attempt(
    `--tls-cert: ${files.cert} holds no certificate`,
    () => new X509Certificate(cert),
  );
  const privateKey = attempt(`--tls-key: ${files.key} holds no private key`, () => createPrivateKey(key));
  if (!certificate.checkPrivateKey(privateKey)) {
    throw new CommandError(`--tls-key: ${files.key} is not the key of ${files.cert}`);
  }
  return { cert, key };
}

/** When a certificate ends, as it says itself. */
export const validUntil = ({ cert }: TlsKeyPair): string => new X509Certificate(cert).validTo;

function read(option: string, file: string): string {
  return attempt(`${option}: cannot read ${file}`, () => readFileSync(file, "utf8"));
}

function attempt<Value>(problem: string, work: () => Value): Value {
  try {
    return work();
  } catch (cause) {
    throw new CommandError(`${problem}: ${(cause as Error).message}`, { cause });
  }
}
