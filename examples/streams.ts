/** Incremental computation from its parts. */
import { string, u32 } from 'gnitz'
import { Circuit, integers, zsets } from 'gnitz/streams'

const circuit = new Circuit()

// The paper's identities, on a stream of integers.
const s = circuit.generator(t => BigInt(t * t), integers)
const sums = s.integrate()
const back = sums.differentiate() // D ∘ I is the identity

// A join of two streams of changes, and its incremental version.
const people = zsets({ name: string(), city: u32() })
const cities = zsets({ id: u32(), city: string() })
const byCity = people.by('city')
const byId = cities.by('id')
const join = byCity.group.join(byId.group, (p, c) => ({ name: p.name, city: c.city }))

const peopleChanges = circuit.input(people)
const cityChanges = circuit.input(cities)
const joined = peopleChanges.linear(byCity).bilinear(cityChanges.linear(byId), join)
joined.inspect((change, time) => console.log(time, join.group.entries(change)))

peopleChanges.push(people.of([{ name: 'Kari', city: 1 }]))
circuit.step()
cityChanges.push(cities.of([{ id: 1, city: 'Bergen' }]))
circuit.step()
peopleChanges.push(people.of([{ name: 'Kari', city: 1 }], -1n))
circuit.step()
console.log(s.value, sums.value, back.value)
