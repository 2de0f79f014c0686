/** Frames in pieces, for what is looked up in them. */
import type { Frame } from '../../../circuit/window.js'
import type { Frames, Section } from './section.js'

/** The frame of a unit without what is excluded, as up to three pieces in order. */
export class Pieces {
  count = 0
  readonly from = new Float64Array(3)
  readonly to = new Float64Array(3)

  constructor(
    readonly section: Section,
    readonly frames: Frames,
    readonly exclude: Frame['exclude'],
  ) {}

  /** Whether the unit's own row is part of the frame. */
  holdsCurrent(u: number): boolean {
    const at = this.section.places[u]
    return at >= this.frames.begins[u] && at < this.frames.ends[u]
  }

  take(u: number): void {
    const { section, frames, exclude } = this
    const [begin, end] = [frames.begins[u], frames.ends[u]]
    this.count = 0
    if (exclude === 'none') return this.add(begin, end)
    const k = section.units[u]
    const at = section.places[u]
    const from = exclude === 'current' ? at : section.groupBegin(k)
    const to = exclude === 'current' ? at + 1 : section.groupEnd(k)
    this.add(begin, Math.min(end, from))
    if (exclude === 'ties' && this.holdsCurrent(u)) this.add(at, at + 1)
    this.add(Math.max(begin, to), end)
  }

  private add(from: number, to: number): void {
    if (from >= to) return
    this.from[this.count] = from
    this.to[this.count] = to
    this.count++
  }
}
