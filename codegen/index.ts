/** `gnitz/codegen`: the specialiser on its own, for people who write kernels or look at ours. */
export * as ast from './ast.js'
export { type Built, build, type Mode, type Statics, type Unit } from './build.js'
export { keyLanesOf, readRow, writeRow } from './expr/plain.js'
export { type CompiledKernels, kernelsOf } from './kernels.js'
export { type Loaded, type LoadOptions, load, type ModuleParts, print } from './load.js'
export * from './specialise/index.js'
