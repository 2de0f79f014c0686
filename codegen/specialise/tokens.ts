/** The tokens of a template's text, one at a time. What is not known here ends the reading: see `read.ts`. */

const SPACE = /(?:\s+|\/\/.*|\/\*[\s\S]*?\*\/)*/y
const TOKEN =
  /[A-Za-z_$][\w$]*|0[xX][\da-fA-F]+n?|\d+(?:\.\d+)?(?:[eE][+-]?\d+)?n?|'[^'\\\n]*'|"[^"\\\n]*"|>>>=?|[=!]==?|=>|\+\+|--|&&|\|\||\?\?|<<=?|>>=?|[<>]=?|[-+*/%&|^]=?|[(){}[\];,.:?!~=]/y

/** Thrown for what this reader does not know; never leaves `readFunction`. */
export const UNREADABLE = new Error('not read here')

export class Tokens {
  protected readonly source: string
  /** The token that comes next, and where it begins; '' at the end of the text. */
  protected token = ''
  protected start = 0
  /** Where the token before it ends, and where it ends itself. */
  protected before = 0
  protected end = 0

  constructor(source: string) {
    this.source = source
    this.advance()
  }

  protected advance(): void {
    this.before = this.end
    SPACE.lastIndex = this.end
    SPACE.test(this.source)
    this.start = SPACE.lastIndex
    TOKEN.lastIndex = this.start
    if (TOKEN.test(this.source)) {
      this.end = TOKEN.lastIndex
      this.token = this.source.slice(this.start, this.end)
    } else if (this.start < this.source.length) throw UNREADABLE
    else this.token = ''
  }

  protected eat(token: string): boolean {
    if (this.token !== token) return false
    this.advance()
    return true
  }

  protected expect(token: string): void {
    if (!this.eat(token)) throw UNREADABLE
  }

  protected isWord(): boolean {
    const c = this.token.charCodeAt(0)
    return (c >= 97 && c <= 122) || (c >= 65 && c <= 90) || c === 36 || c === 95
  }

  protected onNewLine(): boolean {
    return this.source.slice(this.before, this.start).includes('\n')
  }
}
