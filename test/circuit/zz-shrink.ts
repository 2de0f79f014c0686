import { interpret, printZSet } from '/work/main/src/circuit/interpret.js'
import { lower } from '/work/main/src/circuit/lower.js'
import { optimise } from '/work/main/src/circuit/optimise.js'
import { nodesOf } from '/work/main/src/circuit/nodes.js'
import { printRel } from '/work/main/src/circuit/print.js'
import { picker, randomInputs, randomPlan } from '/work/main/test/circuit/random-plans.js'
const shown = ({ rows, errors }: any): string => `${printZSet(rows)}\nerrors ${JSON.stringify([...errors].map(([m, w]: any) => `${m} × ${w}`).sort())}`
const from = Number(process.argv[2] ?? 1), count = Number(process.argv[3] ?? 1000), depth = Number(process.argv[4] ?? 3)
let bad = 0
for (let seed = from; seed < from + count && bad < 3; seed++) for (const risk of [0, 3, 6]) {
  const pick = picker(seed * 7919 + risk)
  const plan = randomPlan(1 + pick(depth), risk, pick)
  const inputs = [randomInputs(pick), randomInputs(pick), randomInputs(pick)]
  const fails = (rel: any) => { try { const l = lower(rel); const o = optimise(l); for (const i of inputs) { const e = shown(interpret(rel, i)); for (const x of [l, o]) { const g = shown(interpret(x, i)); if (g !== e) return { e, g, x } } } } catch (err: any) { return { e: '', g: String(err.stack), x: rel } } }
  if (fails(plan) === undefined) continue
  bad++
  const small = nodesOf(plan).find(fails)!
  const f = fails(small)!
  console.log(`seed ${seed} risk ${risk}\n${printRel(small)}\n--- became\n${printRel(f.x)}\n--- lowered\n${printRel(lower(small))}\nexpected\n${f.e}\ngot\n${f.g}\n==========`)
}
console.log('done', bad)
