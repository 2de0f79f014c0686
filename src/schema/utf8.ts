/** JavaScript text as UTF-8: whether it can be, and how long it is. */

/** Position of the first surrogate that is not half of a pair, or -1. */
export function loneSurrogateAt(text: string): number {
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i)
    if (unit < 0xd800 || unit > 0xdfff) continue
    const next = i + 1 < text.length ? text.charCodeAt(i + 1) : 0
    if (unit >= 0xdc00 || next < 0xdc00 || next > 0xdfff) return i
    i++
  }
  return -1
}

/** Length in bytes of well-formed text in UTF-8. */
export function utf8Length(text: string): number {
  let bytes = text.length
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i)
    // Each unit of a surrogate pair counts 2 of the 4 bytes.
    if (unit >= 0x800 && (unit < 0xd800 || unit > 0xdfff)) bytes += 2
    else if (unit >= 0x80) bytes += 1
  }
  return bytes
}
