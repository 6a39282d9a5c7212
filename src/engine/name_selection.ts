/**
 * Which of many names match a pattern: at once where that is short, and else in portions between other requests.
 */
import { PATTERN_STEPS_AT_ONCE } from "../protocol/limits.ts";
import type { LongWork, Task } from "./long_work.ts";
import type { CompiledPattern } from "./pattern_cache.ts";
import type { PatternThread } from "./pattern_thread.ts";

export type NameTools = { readonly longWork: LongWork; readonly thread: PatternThread };

/** What a name costs beside the automaton's steps, in these. */
const NAME_STEPS = 50;
/** What looking at some names costs, in LongWork's units: enough to look at the clock. */
const LOOKED_AT_UNITS = 64;

/**
 * Those of `all` whose names match, in their order. `all` must not change meanwhile.
 *
 * @throws DatabaseError `bad_pattern`
 */
export function selectByName<Named>(
  all: readonly Named[],
  nameOf: (named: Named) => string,
  pattern: CompiledPattern,
  tools: NameTools,
): readonly Named[] | Promise<readonly Named[]> {
  const found: Named[] = [];
  const rest = tools.longWork.begin(selecting(all, nameOf, pattern, tools, found));
  return rest === undefined ? found : rest.then(() => found);
}

/** What it costs to look at a name, in the automaton's steps. */
export function stepsOf({ stepsPerUnit }: CompiledPattern, name: string): number {
  return NAME_STEPS + name.length * stepsPerUnit;
}

function* selecting<Named>(
  all: readonly Named[],
  nameOf: (named: Named) => string,
  pattern: CompiledPattern,
  { longWork, thread }: NameTools,
  found: Named[],
): Task {
  let steps = 0;
  for (const named of all) {
    const name = nameOf(named);
    const ownSteps = stepsOf(pattern, name);
    let isFound = false;
    if (ownSteps > PATTERN_STEPS_AT_ONCE) {
      yield thread.test(pattern, name).then((answer) => {
        isFound = answer;
      });
    } else {
      isFound = pattern.test(name);
      steps += ownSteps;
    }
    if (isFound) found.push(named);
    if (steps < PATTERN_STEPS_AT_ONCE) continue;
    steps = 0;
    if (longWork.isTurnOver(LOOKED_AT_UNITS)) yield;
  }
}
