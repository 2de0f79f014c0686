/**
 * Counting how far a walk has come: rows are fed in the order of the walk, until the reach that was asked for is
 * covered. What is counted, rows or groups, is counted before and after the step, and the lesser number is what counts.
 */
import { cellIsNull } from '../../../zset/cells.js'
import type { Reach } from './plan.js'
import type { RangeKey } from './range.js'
import type { Stretch } from './stretch.js'

/** What a RANGE distance is measured from: the fed row, whose frame is to hold the origin, or the other way round. */
export type Viewpoint = 'fed' | 'origin'

export class Span {
  /** Everything that was asked for has been fed. */
  done = true
  private origin = 0
  private last = 0
  private rowsBefore = 0
  private rowsAfter = 0
  private inOwnGroup = true
  private groupsBefore = 0
  private groupsAfter = 0
  private groupBefore = false
  private groupAfter = false
  private inRange = true
  private readonly nonNulls: { before: number; after: number }[]

  constructor(
    private readonly reach: Reach,
    private readonly direction: 1 | -1,
    private readonly viewpoint: Viewpoint,
    private readonly stretch: Stretch,
    private readonly peers: (a: Stretch['rows'], i: number, b: Stretch['rows'], j: number) => boolean,
    private readonly range: RangeKey | null,
  ) {
    this.nonNulls = reach.nonNulls.map(() => ({ before: 0, after: 0 }))
  }

  /** Begins at a row (its place in the stretch), which is not fed itself. */
  start(origin: number): void {
    this.origin = origin
    this.last = origin
    this.rowsBefore = 0
    this.rowsAfter = 0
    this.inOwnGroup = true
    this.groupsBefore = 0
    this.groupsAfter = 0
    this.groupBefore = false
    this.groupAfter = false
    this.inRange = this.reach.range !== null
    for (const seen of this.nonNulls) {
      seen.before = 0
      seen.after = 0
    }
    this.done = this.covers()
  }

  feed(place: number): void {
    const { stretch, reach } = this
    const before = stretch.before[place]
    const after = stretch.after[place]
    this.rowsBefore += before
    this.rowsAfter += after
    if (reach.groups >= 0) this.feedGroup(place, before, after)
    if (this.inRange) this.inRange = this.isInRange(place)
    for (let i = 0; i < this.nonNulls.length; i++) {
      if (cellIsNull(stretch.rows, reach.nonNulls[i].column, place)) continue
      this.nonNulls[i].before += before
      this.nonNulls[i].after += after
    }
    this.last = place
    this.done = this.covers()
  }

  private feedGroup(place: number, before: number, after: number): void {
    const { rows } = this.stretch
    if (!this.peers(rows, place, rows, this.last)) {
      if (this.groupBefore) this.groupsBefore++
      if (this.groupAfter) this.groupsAfter++
      this.inOwnGroup = false
      this.groupBefore = false
      this.groupAfter = false
    }
    if (this.inOwnGroup) return
    this.groupBefore ||= before > 0
    this.groupAfter ||= after > 0
  }

  private isInRange(place: number): boolean {
    const { range, origin, reach, direction } = this
    if (range === null || reach.range === null) return false
    const [from, to] = this.viewpoint === 'fed' ? [place, origin] : [origin, place]
    // Of the two, `from` has the frame. Fed rows lie before the origin or after it.
    const ahead = this.viewpoint === 'fed' ? direction === -1 : direction === 1
    return range.reaches(from, ahead ? reach.range : -reach.range, to)
  }

  private covers(): boolean {
    const { reach } = this
    if (reach.all || this.inRange) return false
    if (Math.min(this.rowsBefore, this.rowsAfter) < reach.rows) return false
    if (reach.groups >= 0) {
      if (this.inOwnGroup || Math.min(this.groupsBefore, this.groupsAfter) < reach.groups) return false
    }
    for (let i = 0; i < this.nonNulls.length; i++) {
      const { before, after } = this.nonNulls[i]
      if (Math.min(before, after) < reach.nonNulls[i].count) return false
    }
    return true
  }
}
