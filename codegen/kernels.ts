/**
 * Makes the `Kernels` of a layout from the templates, generic or specialised. Specialised kernels are cached by the
 * layout's fingerprint, so that every arrangement of the same shape and the same relation name shares its code.
 */
import { WeightOverflowError } from '../src/base/errors.js'
import { type Layout, layoutFingerprint } from '../src/schema/schema.js'
import type { Batch } from '../src/zset/batch.js'
import type { Kernels, NodeList } from '../src/zset/kernels.js'
import { compareGerman, copyString } from '../src/zset/strings.js'
import { absorb } from '../templates/absorb.js'
import { $compareColumns, $comparePayload, compareGroups, comparePayload, compareRows } from '../templates/compare.js'
import { consolidate } from '../templates/consolidate.js'
import { $copyRow, $moveRows, copyRow } from '../templates/copy.js'
import { lookup } from '../templates/lookup.js'
import { merge } from '../templates/merge.js'
import { mergeAll } from '../templates/mergeall.js'
import { $isSecond, $laneOf, $take, mergeFour } from '../templates/mergefour.js'
import { compareNode } from '../templates/node.js'
import { decodePacked, encodePacked } from '../templates/packed.js'
import { $below, $bucketOf, $lowerBound, $search, seek } from '../templates/seek.js'
import { findNodes, insertNodes, scanNodes } from '../templates/skiplist.js'
import { $before, tournament } from '../templates/tournament.js'
import { build, type Mode, type Statics, type Unit } from './build.js'
import { keyStatics } from './keys.js'
import { nodeStatics, nodeStride } from './nodes.js'
import { packedStatics, packedStride } from './packed.js'
import { external, type Template } from './specialise/types.js'

type Slots = { -readonly [K in keyof Kernels]: Kernels[K] }
type KernelName = Exclude<keyof Kernels, 'layout' | 'packedStride' | 'nodeStride'>

export interface CompiledKernels extends Kernels {
  /** The generated functions by name, as far as they have been needed. */
  readonly sources: ReadonlyMap<string, string>
}

const cache = new Map<string, CompiledKernels>()

/** What becomes of a sum of weights that leaves i64: an error, or what is left of it modulo 2^64. */
export type Sums = 'checked' | 'wrapping'

/** Kernels of a layout; the name of the schema appears in the code. */
export function kernelsOf(layout: Layout, mode: Mode = 'compiled', sums: Sums = 'checked'): CompiledKernels {
  const key = `${mode}|${sums}|${layout.schema.name}|${layoutFingerprint(layout)}`
  let kernels = cache.get(key)
  if (kernels === undefined) {
    kernels = makeKernels(layout, mode, sums)
    if (cache.size >= MAX_CACHED) cache.delete(cache.keys().next().value as string)
    cache.set(key, kernels)
  }
  return kernels
}

/** Layouts whose kernels are remembered; the oldest go first. */
const MAX_CACHED = 1024

/** Moves a string cell inside one batch: the bytes stay where they are in the heap. */
export function moveString(from: Uint32Array, at: number, _heap: unknown, to: Uint32Array, toAt: number): void {
  to[toAt] = from[at]
  to[toAt + 1] = from[at + 1]
  to[toAt + 2] = from[at + 2]
  to[toAt + 3] = from[at + 3]
}

/** Few columns without text: comparing them in place is cheaper than a call. */
export function isShort(layout: Layout): boolean {
  return layout.order.length <= 3 && layout.order.every(o => o.column.info.storage !== 'german' && !o.column.nullable)
}

export function layoutUnit(layout: Layout): Unit {
  return { name: layout.schema.name, provenance: [`layout ${layoutFingerprint(layout)}`] }
}

function makeKernels(layout: Layout, mode: Mode, sums: Sums): CompiledKernels {
  const unit = layoutUnit(layout)
  const sources = new Map<string, string>()
  const overflow = () => {
    if (sums === 'checked') throw new WeightOverflowError(`relation ${JSON.stringify(layout.schema.name)}`)
  }
  const common: Record<string, unknown> = {
    $layout: layout,
    $words: layout.key.words,
    // The order has a column once, also one that is in the key twice.
    $prefix: layout.key.kind === 'hash' ? layout.order.slice(0, new Set(layout.key.columns).size) : [],
    ...keyStatics(layout),
    $comparePayload,
    $inlined: isShort(layout),
    $compareColumns,
    $copyRow,
    $moveRows,
    $lowerBound,
    $search,
    $bucketOf,
    $before,
    $isSecond,
    $laneOf,
    $take,
    $compareStrings: external(compareGerman),
    $copyString: external(copyString),
    $overflow: external(overflow, 'overflow'),
  }
  const kernels = {
    layout,
    packedStride: packedStride(layout),
    nodeStride: nodeStride(layout),
    sources,
  } as unknown as CompiledKernels
  // Compiled when first called: a view needs few of them, and some only long after it was made.
  const lazily = <K extends KernelName>(name: K, template: unknown, statics: Statics | (() => Statics) = common) => {
    const make = () => {
      const built = build<Kernels[K]>(
        mode,
        unit,
        name,
        template as Template,
        typeof statics === 'function' ? statics() : statics,
      )
      sources.set(name, built.source)
      ;(kernels as Pick<Slots, K>)[name] = built.fn
      return built.fn as (...args: unknown[]) => unknown
    }
    ;(kernels as Pick<Slots, K>)[name] = ((...args: unknown[]) => make()(...args)) as Kernels[K]
  }
  lazily('comparePayload', comparePayload)
  common.$payload = external(
    (a: Batch, i: number, b: Batch, j: number) => kernels.comparePayload(a, i, b, j),
    'comparePayload',
  )
  lazily('compareRows', compareRows)
  common.$compareRows = external(
    (a: Batch, i: number, b: Batch, j: number) => kernels.compareRows(a, i, b, j),
    'compareRows',
  )
  lazily('compareGroups', compareGroups)
  lazily('copyRow', copyRow)
  lazily('consolidate', consolidate)
  lazily('merge', merge)
  lazily('mergeAll', mergeAll)
  lazily('mergeFour', mergeFour)
  lazily('tournament', tournament)
  lazily('absorb', absorb)
  // Keys to be looked for may be beyond those that a row can have.
  lazily('seek', seek, () => ({ ...common, $below }))
  lazily('lookup', lookup)
  const packed = packedStatics(layout)
  lazily('encodePacked', encodePacked, packed)
  lazily('decodePacked', decodePacked, packed)
  const $node = external(
    (list: NodeList, key: number, batch: Batch, i: number) => kernels.compareNode(list, key, batch, i),
    'compareNode',
  )
  const nodes = () => ({ ...nodeStatics(mode, unit, layout), $node, $overflow: common.$overflow })
  lazily('compareNode', compareNode, nodes)
  lazily('insertNodes', insertNodes, nodes)
  lazily('scanNodes', scanNodes, nodes)
  lazily('findNodes', findNodes, nodes)
  return kernels
}
