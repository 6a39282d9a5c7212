/**
 * The source as the architecture sees it: files, and which of them import which. Type imports count too.
 */
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, posix, relative, resolve, sep } from "node:path";

const ROOT = resolve(import.meta.dir, "../..");

/** A file with its path from the project's root, such as `src/engine/chunk.ts`. */
export type SourceFile = { readonly path: string; readonly text: string };

const COMMENT = /\/\*[\s\S]*?\*\/|^\s*\/\/.*$/gm;
/** `import … from "x"`, `export … from "x"`, `import "x"` and `import("x")`. */
const IMPORT = /\b(?:from|import)\s*\(?\s*["']([^"'\n]+)["']/g;

/** All TypeScript files of a folder, in order of their paths. */
export function readSourceFiles(folder: string): SourceFile[] {
  return readdirSync(join(ROOT, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith(".ts"))
    .map(({ parentPath, name }) => join(parentPath, name))
    .sort()
    .map((file) => ({ path: relative(ROOT, file).split(sep).join("/"), text: readFileSync(file, "utf8") }));
}

/** The text without comments; line numbers are lost. */
export const codeOf = ({ text }: SourceFile): string => text.replace(COMMENT, "");

/** What a file imports: project files by their path from the root, everything else by its name. */
export function importsOf(file: SourceFile): string[] {
  const names = [...codeOf(file).matchAll(IMPORT)].map(([, name]) => name as string);
  return names.map((name) => {
    if (!name.startsWith(".")) return name;
    const path = posix.join(dirname(file.path), name);
    // AssemblyScript leaves it out.
    return posix.extname(path) === "" ? `${path}.ts` : path;
  });
}

/** The folder below `src`, or undefined for what lies elsewhere. */
export function layerOf(path: string): string | undefined {
  return /^src\/([^/]+)\//.exec(path)?.[1];
}

/** A way through the graph that ends where it began, or undefined. */
export function findCycle(graph: ReadonlyMap<string, readonly string[]>): readonly string[] | undefined {
  const done = new Set<string>();
  const way: string[] = [];

  function visit(node: string): readonly string[] | undefined {
    if (way.includes(node)) return [...way.slice(way.indexOf(node)), node];
    if (done.has(node)) return undefined;
    way.push(node);
    for (const next of graph.get(node) ?? []) {
      const cycle = visit(next);
      if (cycle !== undefined) return cycle;
    }
    way.pop();
    done.add(node);
    return undefined;
  }

  for (const node of graph.keys()) {
    const cycle = visit(node);
    if (cycle !== undefined) return cycle;
  }
  return undefined;
}
