/**
 * Who wants to connect: the API key and the label of an upgrade request.
 *
 * A key in a URL ends up in the logs of proxies, so it may also come as `Authorization: Bearer KEY`.
 */
import type { ApiKey, ApiKeys } from "../engine/api_keys.ts";
import { CLIENT_NAME_LENGTH_MAX } from "../protocol/limits.ts";
import { KEY_EXPIRED } from "./connections.ts";

export type Login = { readonly apiKey: ApiKey; readonly name: string | null };

const BEARER = /^Bearer +(.+)$/i;

/** The client, or the text of its refusal; `dateMs` is the calendar's clock. */
export function readLogin({ url, headers }: Request, apiKeys: ApiKeys, dateMs: number): Login | string {
  const query = readQuery(url);
  const key = query.get("api-key") || bearerKey(headers.get("authorization") ?? "");
  if (key === "") return "Missing API key parameter";
  const apiKey = apiKeys.authenticate(key);
  if (apiKey === undefined) return "Unknown API key";
  if (apiKey.limits?.hasExpired(dateMs)) return KEY_EXPIRED;
  return { apiKey, name: query.get("name")?.slice(0, CLIENT_NAME_LENGTH_MAX) ?? null };
}

/** The query's parameters: percent-decoded, with `+` for a space; what is malformed stays as it is. */
function readQuery(url: string): URLSearchParams {
  const start = url.indexOf("?");
  return new URLSearchParams(start < 0 ? "" : url.slice(start + 1));
}

/** Headers arrive as Latin-1, one character a byte; the key is UTF-8, as it is in a URL. */
function bearerKey(header: string): string {
  const bytes = BEARER.exec(header)?.[1]?.trim() ?? "";
  return Buffer.from(bytes, "latin1").toString("utf8");
}
