/**
 * Long strings of many rows, encoded together. A call of the platform's encoder costs more than the bytes of a usual
 * string, so strings that come one after the other are joined and encoded at once into the heap. Text that is not
 * ASCII, whose bytes are not its units, is encoded one by one.
 */
import type { Heap } from './heap.js'
import { encodeString, wordOf } from './strings.js'

const encoder = new TextEncoder()

/** Strings that are encoded together: some, so that one that is not ASCII holds up few others. */
const GROUP = 256
const GROUP_UNITS = 1 << 16

export class Texts {
  private readonly texts: string[] = []
  private readonly cells: Uint32Array[] = []
  private readonly places: number[] = []
  private units = 0

  constructor(private readonly heap: Heap) {}

  /** Writes `text`, now or by `flush`, into the cell at `at`. REQUIRES: the cell's region stays where it is. */
  put(text: string, lanes: Uint32Array, at: number): void {
    this.texts.push(text)
    this.cells.push(lanes)
    this.places.push(at)
    this.units += text.length
    if (this.texts.length === GROUP || this.units >= GROUP_UNITS) this.flush()
  }

  /** Writes what is left. */
  flush(): void {
    const { texts, cells, places, heap } = this
    if (!this.together()) for (let i = 0; i < texts.length; i++) encodeString(texts[i], cells[i], places[i], heap)
    texts.length = cells.length = places.length = this.units = 0
  }

  private together(): boolean {
    const { texts, cells, places, heap, units } = this
    heap.reserve(units)
    let at = heap.length
    const room = heap.bytes.subarray(at, at + units)
    const { read, written } = encoder.encodeInto(texts.join(''), room)
    if (read !== units || written !== units) return false
    for (let i = 0; i < texts.length; i++) {
      const [lanes, place, { length }] = [cells[i], places[i], texts[i]]
      lanes[place] = length
      lanes[place + 1] = wordOf(heap.bytes, at, at + length)
      lanes[place + 2] = at
      lanes[place + 3] = 0
      at += length
    }
    heap.length = at
    return true
  }
}
