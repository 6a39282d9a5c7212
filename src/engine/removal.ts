/**
 * The deletion of many records, each anywhere: in portions, since a record may lie in a chunk that has to be read from
 * disk, unpacked and changed.
 *
 * Each portion is a command of its own, so that what the journal holds is what memory has seen, in its order. Portions of
 * one turn are one commit. Beyond that others see a part of it, and so may a start after a crash: the client, which has
 * had no answer, sends it again.
 */
import { REMOVED_AT_ONCE } from "../protocol/limits.ts";
import type { Request } from "../protocol/messages.ts";
import type { Written } from "./database.ts";
import type { LongWork, Task } from "./long_work.ts";

type Removals = Request<"dmrec">;
type RemovalTools = {
  readonly longWork: LongWork;
  readonly write: (portion: Removals) => Written;
  /** See MemoryLimit: what was opened takes memory. */
  readonly relieve: () => Promise<void> | undefined;
};

/** What a removal costs, in LongWork's units, where its chunk is packed. */
const REMOVED_UNITS = 400;

export function removeInPortions(request: Removals, tools: RemovalTools): Written {
  const commits = new Set<Promise<void>>();
  const rest = tools.longWork.begin(portions(request, tools, commits));
  if (rest !== undefined) return rest.then(() => allOf(commits));
  return commits.size === 0 ? undefined : allOf(commits);
}

function* portions(
  request: Removals,
  { longWork, write, relieve }: RemovalTools,
  commits: Set<Promise<void>>,
): Task {
  for (let from = 0; from < request.length; from += REMOVED_AT_ONCE) {
    if (from > 0 && longWork.isTurnOver(REMOVED_AT_ONCE * REMOVED_UNITS)) yield;
    const written = write(request.slice(from, from + REMOVED_AT_ONCE));
    if (written !== undefined) {
      commits.add(written);
      // One that fails is waited for later, and is no surprise until then.
      written.catch(() => {});
    }
    const relief = relieve();
    if (relief !== undefined) yield relief;
  }
}

async function allOf(commits: Iterable<Promise<void>>): Promise<void> {
  await Promise.all(commits);
}
