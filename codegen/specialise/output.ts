/**
 * The function being written: its names, its constants, and the slots that hoisted paths go to.
 *
 * A *slot* is a place in a statement list, right after the declaration of a local that is never reassigned, where
 * `const`s derived from that local are put. All parameters share one slot at the top of the function. In the list a
 * slot is an empty statement; `tidy` replaces it by what was hoisted.
 */
import { generate } from 'astring'
import type { EmptyStatement, Expression, Identifier, MemberExpression, Statement, VariableDeclaration } from 'estree'
import { constant, id } from '../ast.js'
import { NameScope, safeName } from '../names.js'
import { eachUse } from './tree.js'

export interface Slot {
  readonly anchor: EmptyStatement
  readonly statements: Statement[]
  /** The block that the hoisted names belong to. */
  readonly names: NameScope
  readonly byText: Map<string, Identifier>
  /** Slots are numbered as they are made: of two that are visible in one place the later has the higher number. */
  readonly order: number
}

/** A path from a local: the local itself, or one step more than the path `before`. */
export interface Path {
  readonly root: string
  /** The path as code. */
  readonly text: string
  readonly before: Path | null
  /** `.name`, or `[…]` for an index known at compile time; '' for the local. */
  readonly step: string
}

export class Output {
  /** The outermost scope: constants and the function's own name. */
  readonly names = new NameScope(null)
  readonly constants = new Map<string, unknown>()
  readonly slots = new Map<Statement, Slot>()
  /** Slot of each local in sight by its output name; null for locals that nothing may be hoisted from. */
  readonly locals = new Map<string, Slot | null>()
  readonly paths = new WeakMap<Expression, Path>()
  /** Declarations that may be dropped if nothing refers to them. */
  readonly removable = new WeakSet<Statement>()
  /** The names that these declare. */
  readonly removableNames = new Set<string>()
  /** Paths that the template assigns, as text: found while writing. */
  readonly assignedPaths = new Set<string>()
  private readonly hoistedPaths = new Map<string, Path>()
  private readonly constantNames = new Map<unknown, string>()
  private readonly labels = new Set<string>()

  /** `neverHoisted`: the paths that an earlier attempt found to be assigned. */
  constructor(
    readonly neverHoisted: ReadonlySet<string>,
    reserved: readonly string[],
  ) {
    for (const name of reserved) this.names.add(name)
  }

  constant(value: unknown, hint: string): Identifier {
    const known = this.constantNames.get(value)
    if (known !== undefined) return id(known)
    const name = safeName(hint)
    let unique = name
    for (let n = 2; this.names.has(unique) || this.locals.has(unique); n++) unique = `${name}_${n}`
    this.names.add(unique)
    this.constantNames.set(value, unique)
    this.constants.set(unique, value)
    return id(unique)
  }

  label(hint: string): string {
    const base = safeName(hint)
    let name = base
    for (let n = 2; this.labels.has(name); n++) name = `${base}_${n}`
    this.labels.add(name)
    return name
  }

  /** `const name = value`, which may be dropped. */
  removableConstant(name: Identifier, value: Expression): VariableDeclaration {
    const statement = constant(name, value)
    this.removable.add(statement)
    this.removableNames.add(name.name)
    return statement
  }

  /** A new slot at the end of `list`. */
  slot(list: Statement[], names: NameScope): Slot {
    const anchor: EmptyStatement = { type: 'EmptyStatement' }
    const slot: Slot = { anchor, statements: [], names, byText: new Map(), order: this.slots.size }
    this.slots.set(anchor, slot)
    list.push(anchor)
    return slot
  }

  /** The latest slot among the locals of `expression`; null if one of them is not fixed; `top` if there are none. */
  slotFor(expression: Expression, top: Slot): Slot | null {
    let latest: Slot | null = top
    eachUse(expression, ({ name }) => {
      const slot = this.locals.get(name)
      if (slot === null) latest = null
      else if (slot !== undefined && latest !== null && slot.order > latest.order) latest = slot
    })
    return latest
  }

  /** A `const` for `expression` in `slot`; REQUIRES: its locals are declared before the slot. `names`: where we are. */
  hoist(slot: Slot, expression: Expression, hint: string, names: NameScope): Identifier {
    return this.hoistText(slot, textOf(expression), expression, hint, names)
  }

  /** The same for a path of which `code` is the expression. */
  hoistPath(path: Path, code: Expression, hint: () => string, names: NameScope): Expression {
    const slot = this.locals.get(path.root)
    if (!slot) return code
    this.hoistedPaths.set(path.text, path)
    return slot.byText.get(path.text) ?? this.hoistText(slot, path.text, code, hint(), names)
  }

  private hoistText(slot: Slot, text: string, expression: Expression, hint: string, names: NameScope): Identifier {
    const known = slot.byText.get(text)
    if (known !== undefined) return known
    const name = id(names.fresh(hint, slot.names))
    const statement = this.removableConstant(name, expression)
    this.locals.set(name.name, slot)
    slot.statements.push(statement)
    slot.byText.set(text, name)
    return name
  }

  /** Notes that the template assigns this member; an index not known now stands for every index. */
  noteAssigned(target: MemberExpression): void {
    const path = this.paths.get(target)
    if (path !== undefined) this.assignedPaths.add(path.text)
    else if (target.object.type !== 'Super') {
      const before = this.pathOf(target.object)
      if (before !== null) this.assignedPaths.add(before.text + ANY_INDEX)
    }
  }

  /** The path that a finished expression is, if it starts at a local that never changes. */
  pathOf(code: Expression): Path | null {
    if (code.type !== 'Identifier') return this.paths.get(code) ?? null
    return this.locals.get(code.name) ? { root: code.name, text: code.name, before: null, step: '' } : null
  }

  /** Notes that `code` is the path `before` and one step more. */
  notePath(code: MemberExpression, before: Path): void {
    const step = code.computed ? `[${textOf(code.property as Expression)}]` : `.${(code.property as Identifier).name}`
    this.paths.set(code, { root: before.root, text: before.text + step, before, step })
  }

  /** True if an earlier attempt found that the template assigns this path or one that it begins with. */
  isAssigned(path: Path): boolean {
    return beginsWithOneOf(path, this.neverHoisted)
  }

  /** True if a path was hoisted which turned out to be assigned: then write again, with `assignedPaths` known. */
  hoistedTooMuch(): boolean {
    for (const path of this.hoistedPaths.values()) if (beginsWithOneOf(path, this.assignedPaths)) return true
    return false
  }
}

/** Equal texts mean equal expressions. What is hoisted is mostly short: too short for a printer to be worth it. */
function textOf(code: Expression): string {
  switch (code.type) {
    case 'Identifier':
      return code.name
    case 'Literal':
      return code.raw ?? generate(code)
    case 'MemberExpression': {
      if (code.object.type === 'Super' || code.property.type === 'PrivateIdentifier') return generate(code)
      const property = textOf(code.property)
      return code.computed ? `${textOf(code.object)}[${property}]` : `${textOf(code.object)}.${property}`
    }
    default:
      return generate(code)
  }
}

function beginsWithOneOf(path: Path, texts: ReadonlySet<string>): boolean {
  if (texts.size === 0) return false
  for (let part: Path | null = path; part?.before; part = part.before) {
    if (texts.has(part.text)) return true
    if (part.step.startsWith('[') && texts.has(part.before.text + ANY_INDEX)) return true
  }
  return false
}

const ANY_INDEX = '[*]'
