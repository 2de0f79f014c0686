// Nexmark's events: an auction house with people who join, auctions that they open, and bids.
//
// Of every 50 events one is a person, three are auctions and 46 are bids. Event number n is a function of n and the
// options alone: ids count up, times follow the rate, and everything else comes from a generator seeded with n. So any
// part of the stream can be made by itself, and twice the same. The facts (proportions, hot keys, prices, lengths) are
// those of the public generators of Apache Beam and github.com/nexmark/nexmark; the code and the random numbers are not.
import { EventRandom } from './random.mjs'

/** What may be chosen; the values are the usual ones. */
export const DEFAULTS = Object.freeze({
  /** Events a second of event time. */
  rate: 10_000,
  /** Time of the first event, milliseconds since 1970. */
  baseTime: Date.UTC(2015, 6, 15),
  persons: 1,
  auctions: 3,
  bids: 46,
  /** Of n bids, n - 1 go to a hot auction; likewise for the other two. 1: none does. */
  hotAuctionRatio: 2,
  hotBiddersRatio: 4,
  hotSellersRatio: 4,
  /** Auctions that get bids at a time, and people who bid and sell. */
  inFlightAuctions: 100,
  activePeople: 1000,
  /** Mean sizes in bytes, to which `extra` fills up. */
  personBytes: 200,
  auctionBytes: 500,
  bidBytes: 100,
  /** Events within groups of this size change places; 1: all are in order. */
  outOfOrderGroup: 1,
  seed: 0,
})

const FIRST_ID = 1000
const FIRST_CATEGORY = 10
const CATEGORIES = 5
/** Ids of auctions and people that do not exist yet, by which bids may be ahead. */
const LEAD = 10
/** One auction (person) in so many is a hot one. */
const HOT_STRIDE = 100
const CHANNELS = 10_000
const HOT_CHANNELS = ['Google', 'Facebook', 'Baidu', 'Apple']

const list = text => text.split(',')
const STATES = list('AZ,CA,ID,OR,WA,WY')
const CITIES = list('Phoenix,Los Angeles,San Francisco,Boise,Portland,Bend,Redmond,Seattle,Kent,Cheyenne')
const FIRST_NAMES = list('Peter,Paul,Luke,John,Saul,Vicky,Kate,Julie,Sarah,Deiter,Walter')
const LAST_NAMES = list('Shultz,Abrams,Spencer,White,Bartels,Walton,Smith,Jones,Noris')

const FILLER_LENGTH = 1 << 16

/** Rows of a part of the stream, as they are inserted; `events` is their number. Times are microseconds since 1970. */
export const emptyEvents = () => ({ events: 0, person: [], auction: [], bid: [] })

export class Generator {
  /** `options`: any of DEFAULTS. */
  constructor(options = {}) {
    this.options = { ...DEFAULTS, ...options }
    const { persons, auctions, bids } = this.options
    this.epoch = persons + auctions + bids
    this.random = new EventRandom()
    const fixed = new EventRandom().seed(0, this.options.seed + 1)
    this.filler = letters(fixed, FILLER_LENGTH)
    this.hotUrls = HOT_CHANNELS.map(() => baseUrl(fixed))
    this.channels = Array.from({ length: CHANNELS }, (_, i) => channel(fixed, i))
  }

  /** The rows of the events from number `from` up to, not including, number `to`. */
  events(from, to) {
    const out = emptyEvents()
    for (let n = from; n < to; n++) this.event(n, out)
    return out
  }

  /** Adds event number n to `out`. */
  event(n, out) {
    const { options, random } = this
    const id = this.placeOf(n)
    const at = this.timeOf(id)
    random.seed(id, options.seed)
    const place = id % this.epoch
    out.events++
    if (place < options.persons) out.person.push(this.person(id, at))
    else if (place < options.persons + options.auctions) out.auction.push(this.auction(id, at))
    else out.bid.push(this.bid(id, at))
  }

  /** The number that event n has in the order of time: another one of its group. */
  placeOf(n) {
    const group = this.options.outOfOrderGroup
    return n - (n % group) + ((n * 953) % group)
  }

  /** Milliseconds since 1970. */
  timeOf(id) {
    return this.options.baseTime + Math.floor((id * 1000) / this.options.rate)
  }

  person(id, at) {
    const { random } = this
    const name = `${pick(random, FIRST_NAMES)} ${pick(random, LAST_NAMES)}`
    const email = `${word(random, 7, ' ')}@${word(random, 5, ' ')}.com`
    const card = [0, 1, 2, 3].map(() => String(random.below(10_000)).padStart(4, '0')).join(' ')
    const city = pick(random, CITIES)
    const state = pick(random, STATES)
    const used = 8 + name.length + email.length + card.length + city.length + state.length
    const extra = this.extra(used, this.options.personBytes)
    const key = this.lastPerson(id) + FIRST_ID
    return { id: key, name, emailAddress: email, creditCard: card, city, state, dateTime: at * 1000, extra }
  }

  auction(id, at) {
    const { options, random } = this
    const hot = random.below(options.hotSellersRatio) > 0
    const last = this.lastPerson(id)
    const seller = FIRST_ID + (hot ? last - (last % HOT_STRIDE) : this.somePerson(id))
    const category = FIRST_CATEGORY + random.below(CATEGORIES)
    const initialBid = price(random)
    const expires = at + this.auctionLength(id, at)
    const itemName = word(random, 20, ' ')
    const description = word(random, 100, ' ')
    const reserve = initialBid + price(random)
    const extra = this.extra(48 + itemName.length + description.length, options.auctionBytes)
    const key = this.lastAuction(id) + FIRST_ID
    const times = { dateTime: at * 1000, expires: expires * 1000 }
    return { id: key, itemName, description, initialBid, reserve, ...times, seller, category, extra }
  }

  bid(id, at) {
    const { options, random } = this
    const [lastAuction, lastPerson] = [this.lastAuction(id), this.lastPerson(id)]
    const hotAuction = random.below(options.hotAuctionRatio) > 0
    const auction = FIRST_ID + (hotAuction ? lastAuction - (lastAuction % HOT_STRIDE) : this.someAuction(id))
    // The second of a hundred people, so that hot bidders are not hot sellers.
    const hotBidder = random.below(options.hotBiddersRatio) > 0
    const bidder = FIRST_ID + (hotBidder ? lastPerson - (lastPerson % HOT_STRIDE) + 1 : this.somePerson(id))
    const amount = price(random)
    const hot = random.below(2) > 0 ? random.below(HOT_CHANNELS.length) : -1
    const [name, url] = hot < 0 ? pick(random, this.channels) : [HOT_CHANNELS[hot], this.hotUrls[hot]]
    const extra = this.extra(32, options.bidBytes)
    return { auction, bidder, price: amount, channel: name, url, dateTime: at * 1000, extra }
  }

  /** The latest person (from 0) at the time of event `id`, itself included. */
  lastPerson(id) {
    const { persons } = this.options
    return Math.floor(id / this.epoch) * persons + Math.min(id % this.epoch, persons - 1)
  }

  /** The latest auction (from 0) at the time of event `id`, itself included. */
  lastAuction(id) {
    const { persons, auctions } = this.options
    const epoch = Math.floor(id / this.epoch)
    const place = (id % this.epoch) - persons
    return place < 0 ? epoch * auctions - 1 : epoch * auctions + Math.min(place, auctions - 1)
  }

  /** One of the people who are active, or about to come. */
  somePerson(id) {
    const people = this.lastPerson(id) + 1
    const active = Math.min(people, this.options.activePeople)
    return people - active + this.random.below(active + LEAD)
  }

  /** One of the auctions that are in flight, or about to come. */
  someAuction(id) {
    const last = this.lastAuction(id)
    const first = Math.max(last - this.options.inFlightAuctions, 0)
    return first + this.random.below(last - first + 1 + LEAD)
  }

  /** Milliseconds: on average as long as it takes until as many auctions have been opened as are in flight. */
  auctionLength(id, at) {
    const { inFlightAuctions, auctions } = this.options
    const ahead = this.timeOf(id + Math.floor((inFlightAuctions * this.epoch) / auctions))
    return 1 + this.random.below(Math.max((ahead - at) * 2, 1))
  }

  /** Text that fills up a row to its mean size, give or take a fifth. */
  extra(used, mean) {
    const size = mean - used
    if (size <= 0) return ''
    const spread = Math.round(size * 0.2)
    const length = size - spread + (spread === 0 ? 0 : this.random.below(2 * spread))
    const from = this.random.below(FILLER_LENGTH - length)
    return this.filler.slice(from, from + length)
  }
}

const pick = (random, values) => values[random.below(values.length)]

/** Cents, from 1 to 1,000,000 dollars, as many of each magnitude. */
const price = random => Math.round(10 ** (random.unit() * 6) * 100)

function letters(random, length) {
  let text = ''
  for (let i = 0; i < length; i++) text += String.fromCharCode(97 + random.below(26))
  return text
}

/** A word of 3 to max - 1 characters, one in 13 of which is `special`. */
function word(random, max, special) {
  let text = ''
  for (let left = 3 + random.below(max - 3); left > 0; left--) {
    text += random.below(13) === 0 ? special : String.fromCharCode(97 + random.below(26))
  }
  return text.trim()
}

function baseUrl(random) {
  const [a, b, c] = [0, 1, 2].map(() => word(random, 5, '_'))
  return `https://www.nexmark.com/${a}/${b}/${c}/item.htm?query=1`
}

/** A channel and its address; nine in ten have their number in it. */
function channel(random, i) {
  const url = baseUrl(random)
  return [`channel-${i}`, random.below(10) > 0 ? `${url}&channel_id=${Math.abs(reversed(i))}` : url]
}

function reversed(x) {
  let out = 0
  for (let bit = 0; bit < 32; bit++) out = (out << 1) | ((x >>> bit) & 1)
  return out | 0
}
