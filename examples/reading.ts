/** Reading by key and by range, in pages. */
import { open, string, table, u32, view } from 'gnitz'

const people = table('people', { city: string(), number: u32(), name: string() }, { primaryKey: ['city', 'number'] })
const named = view('named', q => q.from(people).map(p => ({ city: p.city, number: p.number, name: p.name })))

const db = open()
const all = db.createView(named)
db.insert(people, [
  { city: 'Bergen', number: 1, name: 'Kari' },
  { city: 'Bergen', number: 2, name: 'Nils' },
  { city: 'Bergen', number: 3, name: 'Liv' },
  { city: 'Tartu', number: 1, name: 'Mart' },
])

console.log(all.get({ city: 'Tartu', number: 1 })?.name, all.get(['Tartu', 2])?.name)
console.log(Array.from(all.range({ from: 'Bergen', to: 'Bergen' }), p => p.name)) // a prefix of the key
const [, last] = all.range({ limit: 2 })
console.log(Array.from(all.range({ after: { city: last.city, number: last.number }, limit: 2 }), p => p.name))
console.log(Array.from(all.range({ reverse: true, limit: 1 }), p => p.name))
