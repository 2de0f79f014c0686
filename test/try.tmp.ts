import { checkCircuits, OPERATOR_KINDS } from '../src/testing/index.js'
const [runs, seed] = [Number(process.argv[2] ?? 50), Number(process.argv[3] ?? 1)]
const only = process.argv.slice(4)
for (const kind of [undefined, ...OPERATOR_KINDS]) {
  if (only.length && !only.includes(String(kind))) continue
  const t = performance.now()
  try { checkCircuits({ runs, seed, ...(kind ? { kinds: [kind], maxDepth: 2 } : {kinds: OPERATOR_KINDS.filter(k =>   k !== 'global')}) }); console.log(`== ${kind} ok`, performance.now() - t) } catch (e) { console.log(`== ${kind} FAIL\n` + (e as Error).message.slice(0, 2500)) }
}
