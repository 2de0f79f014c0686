/** Frames as they slide over a section: rows are taken in and out of something that says what is to be known of them. */
import type { Frame } from '../../../circuit/window.js'
import type { Frames, Section } from './section.js'

/** Takes row k of a section in `times` times more; negative: out. */
export type Take = (k: number, times: number) => void

/** A window over positions; moving on, or back, takes time in proportion to the way. */
class Slider {
  private begin = 0
  private end = 0
  private beginRow = 0
  private endRow = 0

  constructor(
    private readonly section: Section,
    private readonly take: Take,
  ) {}

  /** REQUIRES: begin <= end. */
  moveTo(begin: number, end: number): void {
    this.endRow = this.move(this.endRow, this.end, end, 1)
    this.end = end
    this.beginRow = this.move(this.beginRow, this.begin, begin, -1)
    this.begin = begin
  }

  private move(row: number, from: number, to: number, sign: number): number {
    return to < from ? this.passBack(row, from, to, -sign) : this.pass(row, from, to, sign)
  }

  private passBack(row: number, from: number, to: number, sign: number): number {
    const { positions } = this.section
    let k = row
    let at = from
    while (at > to) {
      while (positions[k] >= at) k--
      const downTo = Math.max(positions[k], to)
      this.take(k, sign * (at - downTo))
      at = downTo
    }
    return k
  }

  private pass(row: number, from: number, to: number, sign: number): number {
    const { positions } = this.section
    let k = row
    let at = from
    while (at < to) {
      const rowEnd = positions[k + 1]
      if (rowEnd > at) {
        const upTo = Math.min(rowEnd, to)
        this.take(k, sign * (upTo - at))
        at = upTo
      }
      if (rowEnd <= at) k++
    }
    return k
  }
}

/** Calls `visit` for each unit in turn, when `take` has been told of all rows of its frame, and of no others. */
export function overFrames(
  section: Section,
  { begins, ends }: Frames,
  exclude: Frame['exclude'],
  take: Take,
  visit: (unit: number) => void,
): void {
  const { units, places } = section
  const before = new Slider(section, take)
  if (exclude === 'none') {
    for (let u = 0; u < units.length; u++) {
      before.moveTo(begins[u], ends[u])
      visit(u)
    }
    return
  }
  // `before` goes up to what is left out.
  const behind = new Slider(section, take)
  for (let u = 0; u < units.length; u++) {
    const begin = begins[u]
    const end = ends[u]
    const k = units[u]
    const at = places[u]
    const from = exclude === 'current' ? at : section.groupBegin(k)
    const to = exclude === 'current' ? at + 1 : section.groupEnd(k)
    before.moveTo(begin, Math.max(begin, Math.min(end, from)))
    behind.moveTo(Math.min(end, Math.max(begin, to)), end)
    const holds = exclude === 'ties' && at >= begin && at < end
    if (holds) take(k, 1)
    visit(u)
    if (holds) take(k, -1)
  }
}
