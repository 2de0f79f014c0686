/**
 * Templates that were parsed ahead of time: source text → its ESTree as JSON. Empty in the sources; the build fills it
 * in `dist` (scripts/parse-templates.mjs), because acorn, run cold, is most of the time that a first view takes.
 * A template whose text is not found here is parsed when it is needed.
 */
export const PARSED: ReadonlyMap<string, string> = new Map()
