/** Makes a failing run small by leaving out operations, as long as it fails. */
import type { Plan } from './plan.js'

/** Numbers of operations that are enough for a failure. `fails` runs a plan; `budget`: how many runs may be tried. */
export async function shrink(plan: Plan, fails: (plan: Plan) => Promise<boolean>, budget: number): Promise<number[]> {
  let kept = plan.operations.map((_, n) => n)
  const planOf = (numbers: readonly number[]): Plan => ({ ...plan, operations: numbers.map(n => plan.operations[n]) })
  for (let size = Math.max(1, kept.length >> 1); budget > 0; size >>= 1) {
    for (let from = 0; from < kept.length && budget > 0; ) {
      const fewer = [...kept.slice(0, from), ...kept.slice(from + size)]
      budget--
      if (await fails(planOf(fewer))) kept = fewer
      else from += size
    }
    if (size === 1) break
  }
  return kept
}
