// What each query gives, computed in plain JavaScript from the generated rows, in ways of its own: by loops and Maps,
// with numbers for integers. A result is a list of rows, each a list of its values in the order of the view's columns,
// as text or numbers; `comparable` makes the same of a row of the view. Rows are in no order.
const SECOND = 1_000_000
const SIZE = 10 * SECOND
const HOP = 2 * SECOND

const start = (at, size) => at - (at % size)
const day = at => new Date(at / 1000).toISOString().slice(0, 10)
/** Days since 1970. */
const dayNumber = at => Math.floor(at / 86_400e6)
const minute = at => new Date(at / 1000).toISOString().slice(11, 16)
/** price * 0.908 with three digits. */
const euros = cents => {
  const thousandths = BigInt(cents) * 908n
  return `${thousandths / 1000n}.${String(thousandths % 1000n).padStart(3, '0')}`
}
const comparePlain = (a, b) => (a < b ? -1 : a > b ? 1 : 0)

/** A row of a view as the reference has it. */
export const comparable = row => Object.values(row).map(v => (typeof v === 'bigint' ? Number(v) : v))

function groups(rows, keyOf) {
  const out = new Map()
  for (const row of rows) {
    const key = keyOf(row)
    const group = out.get(key)
    if (group === undefined) out.set(key, [row])
    else group.push(row)
  }
  return out
}

/** The first of two bids: higher, then earlier, then by auction, bidder and extra. */
const better = (a, b) =>
  b.price - a.price || a.dateTime - b.dateTime || a.bidder - b.bidder || comparePlain(a.extra, b.extra)

/** Each auction that got a bid in time, with the best one. */
function winning({ auction, bid }) {
  const bids = groups(bid, b => b.auction)
  const out = []
  for (const a of auction) {
    const inTime = (bids.get(a.id) ?? []).filter(b => a.dateTime <= b.dateTime && b.dateTime <= a.expires)
    if (inTime.length > 0) out.push([a, inTime.reduce((best, b) => (better(b, best) < 0 ? b : best))])
  }
  return out
}

function counts(bids) {
  const within = (from, to) => bids.filter(b => b.price >= from && b.price < to)
  return [bids, within(0, 10_000), within(10_000, 1_000_000), within(1_000_000, Infinity)]
}

function report(bids) {
  const ranks = counts(bids)
  const distinct = column => ranks.map(rank => new Set(rank.map(b => b[column])).size)
  return [...ranks.map(rank => rank.length), ...distinct('bidder'), ...distinct('auction')]
}

function sessions(times) {
  const out = []
  for (const at of [...times].sort((a, b) => a - b)) {
    const last = out[out.length - 1]
    if (last !== undefined && at - last.to <= SIZE) {
      last.to = at
      last.n++
    } else out.push({ from: at, to: at, n: 1 })
  }
  return out
}

const columns = [...['auction', 'bidder', 'price', 'channel', 'url', 'dateTime', 'extra']]
const whole = b => columns.map(c => b[c])
const inOrder = (a, b) => {
  for (const c of columns) if (a[c] !== b[c]) return comparePlain(a[c], b[c])
  return 0
}

export const REFERENCE = {
  q0: ({ bid }) => bid.map(b => [b.auction, b.bidder, b.price, b.dateTime, b.extra]),
  q1: ({ bid }) => bid.map(b => [b.auction, b.bidder, euros(b.price), b.dateTime, b.extra]),
  q2: ({ bid }) => bid.filter(b => b.auction % 123 === 0).map(b => [b.auction, b.price]),
  q3({ auction, person }) {
    const people = new Map(person.filter(p => ['OR', 'ID', 'CA'].includes(p.state)).map(p => [p.id, p]))
    return auction.flatMap(a => {
      const p = a.category === 10 ? people.get(a.seller) : undefined
      return p === undefined ? [] : [[p.name, p.city, p.state, a.id]]
    })
  },
  q4(events) {
    const finals = groups(winning(events), ([a]) => a.category)
    return [...finals].map(([category, won]) => [
      category,
      Math.floor(won.reduce((sum, [, b]) => sum + b.price, 0) / won.length),
    ])
  },
  q5({ bid }) {
    const windows = new Map()
    for (const b of bid) {
      for (let from = start(b.dateTime, HOP); from > b.dateTime - SIZE; from -= HOP) {
        const window = windows.get(from) ?? new Map()
        windows.set(from, window.set(b.auction, (window.get(b.auction) ?? 0) + 1))
      }
    }
    return [...windows].flatMap(([from, window]) => {
      const most = Math.max(...window.values())
      return [...window].filter(([, n]) => n === most).map(([auction, n]) => [auction, n, from])
    })
  },
  q6(events) {
    const sold = groups(winning(events), ([a]) => a.seller)
    return [...sold].flatMap(([seller, won]) => {
      won.sort(([a, x], [b, y]) => x.dateTime - y.dateTime || a.id - b.id)
      return won.map((_, i) => {
        const last = won.slice(Math.max(0, i - 10), i + 1)
        return [seller, last.reduce((sum, [, b]) => sum + b.price, 0) / last.length]
      })
    })
  },
  q7({ bid }) {
    const highest = new Map()
    for (const b of bid) {
      const from = start(b.dateTime, SIZE)
      highest.set(from, Math.max(highest.get(from) ?? 0, b.price))
    }
    // A bid at the begin of a window is at the end of the one before, too.
    return bid.flatMap(b => {
      const from = start(b.dateTime, SIZE)
      const starts = b.dateTime === from ? [from, from - SIZE] : [from]
      const times = starts.filter(s => highest.get(s) === b.price).length
      return Array.from({ length: times }, () => [b.auction, b.price, b.bidder, b.dateTime, b.extra])
    })
  },
  q8({ person, auction }) {
    const sold = new Set(auction.map(a => `${a.seller} ${start(a.dateTime, SIZE)}`))
    return person.map(p => [p.id, p.name, start(p.dateTime, SIZE)]).filter(([id, , from]) => sold.has(`${id} ${from}`))
  },
  q9: events =>
    winning(events).map(([a, b]) => [
      ...[a.id, a.itemName, a.description, a.initialBid, a.reserve, a.dateTime, a.expires, a.seller, a.category],
      ...[a.extra, b.auction, b.bidder, b.price, b.dateTime, b.extra],
    ]),
  q10: ({ bid }) =>
    bid.map(b => [b.auction, b.bidder, b.price, b.dateTime, b.extra, day(b.dateTime), minute(b.dateTime)]),
  q11: ({ bid }) =>
    [...groups(bid, b => b.bidder)].flatMap(([bidder, bids]) =>
      sessions(bids.map(b => b.dateTime)).map(s => [bidder, s.n, s.from, s.to + SIZE]),
    ),
  q12: ({ bid }) =>
    [...groups(bid, b => `${b.bidder} ${start(b.dateTime, SIZE)}`).values()].map(bids => {
      const from = start(bids[0].dateTime, SIZE)
      return [bids[0].bidder, bids.length, from, from + SIZE]
    }),
  q13: ({ bid, sideInput }) => {
    const side = new Map(sideInput.map(s => [s.key, s.value]))
    return bid.flatMap(b => {
      const value = side.get(b.auction % 10_000)
      return value === undefined ? [] : [[b.auction, b.bidder, b.price, b.dateTime, value]]
    })
  },
  q14: ({ bid }) =>
    bid
      .filter(b => b.price * 908 > 1_000_000_000 && b.price * 908 < 50_000_000_000)
      .map(b => {
        const hour = new Date(b.dateTime / 1000).getUTCHours()
        const type = hour >= 8 && hour <= 18 ? 'dayTime' : hour <= 6 || hour >= 20 ? 'nightTime' : 'otherTime'
        return [b.auction, b.bidder, euros(b.price), type, b.dateTime, b.extra, b.extra.split('c').length - 1]
      }),
  q15: ({ bid }) => [...groups(bid, b => dayNumber(b.dateTime))].map(([d, bids]) => [d, ...report(bids)]),
  q16: ({ bid }) =>
    [...groups(bid, b => `${b.channel} ${day(b.dateTime)}`).values()].map(bids => {
      const last = bids.reduce((m, b) => Math.max(m, b.dateTime), 0)
      const minuteOfDay = Math.floor((last / 60e6) % 1440)
      return [bids[0].channel, dayNumber(last), minuteOfDay, ...report(bids)]
    }),
  q17: ({ bid }) =>
    [...groups(bid, b => `${b.auction} ${day(b.dateTime)}`).values()].map(bids => {
      const prices = bids.map(b => b.price).sort((a, b) => a - b)
      const sum = prices.reduce((a, b) => a + b)
      const ranks = counts(bids).map(rank => rank.length)
      const at = [bids[0].auction, dayNumber(bids[0].dateTime)]
      return [...at, ...ranks, prices[0], prices[prices.length - 1], sum / prices.length, sum]
    }),
  q18: ({ bid }) =>
    [...groups(bid, b => `${b.bidder} ${b.auction}`).values()].map(bids =>
      whole(bids.reduce((a, b) => ((b.dateTime - a.dateTime || inOrder(a, b)) > 0 ? b : a))),
    ),
  q19: ({ bid }) =>
    [...groups(bid, b => b.auction).values()].flatMap(bids =>
      bids
        .sort((a, b) => b.price - a.price || inOrder(a, b))
        .slice(0, 10)
        .map((b, i) => [...whole(b), i + 1]),
    ),
  q20({ bid, auction }) {
    const tens = new Map(auction.filter(a => a.category === 10).map(a => [a.id, a]))
    return bid.flatMap(b => {
      const a = tens.get(b.auction)
      if (a === undefined) return []
      const ofAuction = [a.itemName, a.description, a.initialBid, a.reserve, a.dateTime, a.expires, a.seller]
      return [[...whole(b), ...ofAuction, a.category, a.extra]]
    })
  },
  q21: ({ bid }) =>
    bid.flatMap(b => {
      const known = ['apple', 'google', 'facebook', 'baidu'].indexOf(b.channel.toLowerCase())
      const query = new URLSearchParams(b.url.slice(b.url.indexOf('?') + 1))
      const id = known >= 0 ? String(known) : query.get('channel_id')
      return id === null ? [] : [[b.auction, b.bidder, b.price, b.channel, id]]
    }),
  q22: ({ bid }) => bid.map(b => [b.auction, b.bidder, b.price, b.channel, ...b.url.split('/').slice(3, 6)]),
}
