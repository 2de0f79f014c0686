/**
 * Hashes of values that are the same in every process and version: for samples and sketches, whose results must not
 * depend on where they are computed.
 */

/** 64 bits of a text, as two words. Multiplications and shifts as in MurmurHash3's finaliser. */
export function hashText(text: string, seed = 0): [low: number, high: number] {
  let g = Math.imul(seed ^ 0x9e3779b9, 0x85ebca6b) | 0
  let h = Math.imul(seed ^ 0x7f4a7c15, 0xc2b2ae35) | 0
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i)
    g = Math.imul(g ^ unit, 0x85ebca6b)
    h = Math.imul(h ^ unit, 0xc2b2ae35)
    g ^= g >>> 15
    h ^= h >>> 13
  }
  g = Math.imul(g ^ (h >>> 16), 0x85ebca6b)
  h = Math.imul(h ^ (g >>> 15), 0xc2b2ae35)
  g = Math.imul(g ^ (h >>> 13) ^ text.length, 0xc2b2ae35)
  h = Math.imul(h ^ (g >>> 16), 0x85ebca6b)
  return [(g ^ (g >>> 16)) >>> 0, (h ^ (h >>> 15)) >>> 0]
}

/** Text that two values as users see them share exactly if they are equal. */
export function valueText(value: unknown): string {
  switch (typeof value) {
    case 'string':
      return `s${value}`
    case 'bigint':
      return `b${value}`
    case 'number':
      return `n${value}`
    case 'object':
      if (value === null) return '_'
      if (value instanceof Uint8Array) return `x${value.join()}`
      if (Array.isArray(value)) return `[${value.map(valueText).join('\u0001')}]`
      if (value instanceof Map) return `m${valueText([...value.entries()])}`
      return `{${valueText(Object.entries(value))}}`
    default:
      return String(value)
  }
}
