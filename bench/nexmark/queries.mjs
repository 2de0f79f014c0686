// Nexmark's tables and queries q0 to q22 as gnitz views, after the SQL of github.com/nexmark/nexmark. `nexmark(gnitz)`
// takes the module, so that the bench runs them on the build and the tests on the sources. Tables are streams, or kept (`{ stream: false }`).
//
// In general: results are views, which keep their rows, where the SQL writes to a sink; windows stay open, so results
// are those of all events so far, and late ones correct them; times have microseconds. What else differs is said in
// `note`, query by query.

export function nexmark(gnitz, options = { stream: true }) {
  const tables = makeTables(gnitz, options)
  const queries = [simple, joins, winners, windows, statistics, ranks, texts].flatMap(make => make(gnitz, tables))
  queries.sort((a, b) => Number(a.name.slice(1)) - Number(b.name.slice(1)))
  return { tables, queries }
}

/** A query: `view(name)` defines it, `reads` names the tables. */
function query(gnitz, name, title, reads, build, note = null) {
  return { name, title, reads, note, view: (as = name) => gnitz.view(as, build) }
}

function makeTables({ table, i64, string, timestamp }, options) {
  return {
    person: table(
      'person',
      {
        id: i64().primaryKey(),
        name: string(),
        emailAddress: string(),
        creditCard: string(),
        city: string(),
        state: string(),
        dateTime: timestamp(),
        extra: string(),
      },
      options,
    ),
    auction: table(
      'auction',
      {
        id: i64().primaryKey(),
        itemName: string(),
        description: string(),
        initialBid: i64(),
        reserve: i64(),
        dateTime: timestamp(),
        expires: timestamp(),
        seller: i64(),
        category: i64(),
        extra: string(),
      },
      options,
    ),
    bid: table(
      'bid',
      {
        auction: i64(),
        bidder: i64(),
        price: i64(),
        channel: string(),
        url: string(),
        dateTime: timestamp(),
        extra: string(),
      },
      options,
    ),
    sideInput: table('sideInput', { key: i64().primaryKey(), value: string() }),
  }
}

function simple(gnitz, { bid, sideInput }) {
  const { fn } = gnitz
  const euros = { mul: fn.mul, decimal: fn.decimal }
  return [
    query(gnitz, 'q0', 'pass through', ['bid'], q =>
      q.from(bid).map(({ auction, bidder, price, dateTime, extra }) => ({ auction, bidder, price, dateTime, extra })),
    ),
    query(gnitz, 'q1', 'currency conversion', ['bid'], q =>
      q.from(bid).map(
        ({ auction, bidder, price, dateTime, extra }, { mul, decimal }) => ({
          auction,
          bidder,
          price: decimal(mul(decimal(price, 20), '0.908'), 23, 3),
          dateTime,
          extra,
        }),
        euros,
      ),
    ),
    query(gnitz, 'q2', 'selection', ['bid'], q =>
      q
        .from(bid)
        .filter(b => b.auction % 123n === 0n)
        .map(({ auction, price }) => ({ auction, price })),
    ),
    query(
      gnitz,
      'q10',
      'log by day and minute',
      ['bid'],
      q =>
        q.from(bid).map(
          ({ auction, bidder, price, dateTime, extra }, { date, time, text }) => ({
            auction,
            bidder,
            price,
            dateTime,
            extra,
            dt: text(date(dateTime)),
            hm: text(time(dateTime)).slice(0, 5),
          }),
          { date: fn.date, time: fn.time, text: fn.text },
        ),
      'the partition is two columns of a view instead of a folder of files',
    ),
    query(
      gnitz,
      'q13',
      'side input',
      ['bid', 'sideInput'],
      q =>
        q.from(bid).join(
          sideInput,
          (b, s) => b.auction % 10000n === s.key,
          (b, s) => ({ auction: b.auction, bidder: b.bidder, price: b.price, dateTime: b.dateTime, value: s.value }),
        ),
      'the side input is a table; were it to change, bids that were joined would follow',
    ),
  ]
}

function joins(gnitz, { person, auction, bid }) {
  return [
    query(gnitz, 'q3', 'local item suggestion', ['auction', 'person'], q =>
      q
        .from(auction)
        .filter(a => a.category === 10n)
        .join(
          q.from(person).filter(p => p.state === 'OR' || p.state === 'ID' || p.state === 'CA'),
          (a, p) => a.seller === p.id,
          (a, p) => ({ name: p.name, city: p.city, state: p.state, id: a.id }),
        ),
    ),
    query(gnitz, 'q20', 'expand bid with auction', ['bid', 'auction'], q =>
      q.from(bid).join(
        q.from(auction).filter(a => a.category === 10n),
        (b, a) => b.auction === a.id,
        (b, a) => ({
          auction: b.auction,
          bidder: b.bidder,
          price: b.price,
          channel: b.channel,
          url: b.url,
          bid_dateTime: b.dateTime,
          bid_extra: b.extra,
          itemName: a.itemName,
          description: a.description,
          initialBid: a.initialBid,
          reserve: a.reserve,
          auction_dateTime: a.dateTime,
          expires: a.expires,
          seller: a.seller,
          category: a.category,
          auction_extra: a.extra,
        }),
      ),
    ),
  ]
}

/** Queries over the winning bids. */
function winners(gnitz, { auction, bid }) {
  const { avg, count, max, over, sum } = gnitz
  return [
    query(gnitz, 'q4', 'average price for a category', ['auction', 'bid'], q =>
      q
        .from(auction)
        .join(
          bid,
          (a, b) => a.id === b.auction && b.dateTime >= a.dateTime && b.dateTime <= a.expires,
          (a, b) => ({ id: a.id, category: a.category, price: b.price }),
        )
        .groupBy(r => ({ id: r.id, category: r.category }))
        .aggregate({ final: max(r => r.price) })
        .groupBy(r => ({ id: r.category }))
        .aggregate({ total: sum(r => r.final), auctions: count() })
        .map(r => ({ id: r.id, final: r.total / r.auctions })),
    ),
    query(
      gnitz,
      'q6',
      'average selling price by seller',
      ['auction', 'bid'],
      q =>
        q
          .from(auction)
          .join(
            bid,
            (a, b) => a.id === b.auction && b.dateTime >= a.dateTime && b.dateTime <= a.expires,
            (a, b) => ({ id: a.id, seller: a.seller, price: b.price, dateTime: b.dateTime }),
          )
          .groupBy(r => ({ id: r.id, seller: r.seller }))
          .top(1, { by: r => r.price, desc: true })
          .window(
            { partitionBy: r => ({ seller: r.seller }), orderBy: [{ by: r => r.dateTime }] },
            {
              avg_price: over(
                avg(r => r.price),
                { rows: [{ preceding: 10 }, 'current'] },
              ),
            },
          )
          .map(r => ({ seller: r.seller, avg_price: r.avg_price })),
      'Flink cannot run it; the average is not truncated; of equal prices and times the first in the order of columns counts',
    ),
    query(
      gnitz,
      'q9',
      'winning bids',
      ['auction', 'bid'],
      q =>
        q
          .from(auction)
          .join(
            bid,
            (a, b) => a.id === b.auction && b.dateTime >= a.dateTime && b.dateTime <= a.expires,
            (a, b) => ({
              id: a.id,
              itemName: a.itemName,
              description: a.description,
              initialBid: a.initialBid,
              reserve: a.reserve,
              dateTime: a.dateTime,
              expires: a.expires,
              seller: a.seller,
              category: a.category,
              extra: a.extra,
              auction: b.auction,
              bidder: b.bidder,
              price: b.price,
              bid_dateTime: b.dateTime,
              bid_extra: b.extra,
            }),
          )
          .groupBy(r => ({ id: r.id }))
          .top(1, { by: r => r.price, desc: true }, { by: r => r.bid_dateTime }),
      'of equal prices and times the first in the order of columns wins',
    ),
  ]
}

function windows(gnitz, { person, auction, bid }) {
  const { count, max } = gnitz
  return [
    query(
      gnitz,
      'q5',
      'hot items',
      ['bid'],
      q => {
        const counts = q
          .from(bid)
          .hop(b => b.dateTime, '10 seconds', '2 seconds', { start: 'starttime', end: 'endtime' })
          .groupBy(b => ({ auction: b.auction, starttime: b.starttime }))
          .aggregate({ num: count() })
        const most = counts.groupBy(r => ({ starttime: r.starttime })).aggregate({ maxn: max(r => r.num) })
        return counts.join(
          most,
          (c, m) => c.starttime === m.starttime && c.num === m.maxn,
          (c, _) => ({ auction: c.auction, num: c.num, starttime: c.starttime }),
        )
      },
      'num = maxn for num >= maxn, which is the same; the window is told, since rows of several windows are alike otherwise',
    ),
    query(gnitz, 'q7', 'highest bid', ['bid'], q =>
      q.from(bid).join(
        q
          .from(bid)
          .tumble(b => b.dateTime, '10 seconds')
          .groupBy(b => ({ windowStart: b.windowStart, windowEnd: b.windowEnd }))
          .aggregate({ maxprice: max(b => b.price) }),
        (b, m) => b.price === m.maxprice && b.dateTime >= m.windowStart && b.dateTime <= m.windowEnd,
        (b, _) => ({ auction: b.auction, price: b.price, bidder: b.bidder, dateTime: b.dateTime, extra: b.extra }),
      ),
    ),
    query(gnitz, 'q8', 'monitor new users', ['person', 'auction'], q =>
      q
        .from(person)
        .tumble(p => p.dateTime, '10 seconds')
        .map(p => ({ id: p.id, name: p.name, starttime: p.windowStart }))
        .distinct()
        .join(
          q
            .from(auction)
            .tumble(a => a.dateTime, '10 seconds')
            .map(a => ({ seller: a.seller, starttime: a.windowStart }))
            .distinct(),
          (p, a) => p.id === a.seller && p.starttime === a.starttime,
          (p, _) => ({ id: p.id, name: p.name, starttime: p.starttime }),
        ),
    ),
    query(gnitz, 'q11', 'user sessions', ['bid'], q =>
      q
        .from(bid)
        .map(b => ({ bidder: b.bidder, dateTime: b.dateTime }))
        .session(b => b.dateTime, '10 seconds', { start: 'starttime', end: 'endtime', by: b => ({ bidder: b.bidder }) })
        .groupBy(b => ({ bidder: b.bidder, starttime: b.starttime, endtime: b.endtime }))
        .aggregate({ bid_count: count() })
        .map(r => ({ bidder: r.bidder, bid_count: r.bid_count, starttime: r.starttime, endtime: r.endtime })),
    ),
    query(
      gnitz,
      'q12',
      'processing time windows',
      ['bid'],
      q =>
        q
          .from(bid)
          .tumble(b => b.dateTime, '10 seconds', { start: 'starttime', end: 'endtime' })
          .groupBy(b => ({ bidder: b.bidder, starttime: b.starttime, endtime: b.endtime }))
          .aggregate({ bid_count: count() })
          .map(r => ({ bidder: r.bidder, bid_count: r.bid_count, starttime: r.starttime, endtime: r.endtime })),
      'a view does not read clocks: the time of processing is that of the event, as if each came when it was due',
    ),
  ]
}

function statistics(gnitz, { bid }) {
  const { avg, count, countDistinct, filtered, fn, max, min, sum } = gnitz
  const low = aggregate => filtered(aggregate, b => b.price < 10000n)
  const middle = aggregate => filtered(aggregate, b => b.price >= 10000n && b.price < 1000000n)
  const high = aggregate => filtered(aggregate, b => b.price >= 1000000n)
  const counts = () => ({
    total_bids: count(),
    rank1_bids: low(count()),
    rank2_bids: middle(count()),
    rank3_bids: high(count()),
  })
  const distinct = (name, of) => ({
    [`total_${name}`]: of(),
    [`rank1_${name}`]: low(of()),
    [`rank2_${name}`]: middle(of()),
    [`rank3_${name}`]: high(of()),
  })
  const report = () => ({
    ...counts(),
    ...distinct('bidders', () => countDistinct(b => b.bidder)),
    ...distinct('auctions', () => countDistinct(b => b.auction)),
  })
  return [
    query(
      gnitz,
      'q15',
      'bidding statistics',
      ['bid'],
      q =>
        q
          .from(bid)
          .groupBy((b, { date }) => ({ day: date(b.dateTime) }), { date: fn.date })
          .aggregate(report()),
      'the day is a date, not its text',
    ),
    query(
      gnitz,
      'q16',
      'channel statistics',
      ['bid'],
      q =>
        q
          .from(bid)
          .groupBy((b, { date }) => ({ channel: b.channel, day: date(b.dateTime) }), { date: fn.date })
          .aggregate({
            minute: max((b, { hour, minute }) => hour(b.dateTime) * 60 + minute(b.dateTime), {
              hour: fn.hour,
              minute: fn.minute,
            }),
            ...report(),
          }),
      'the day is a date and the minute its number in the day, not their texts',
    ),
    query(
      gnitz,
      'q17',
      'auction statistics',
      ['bid'],
      q =>
        q
          .from(bid)
          .groupBy((b, { date }) => ({ auction: b.auction, day: date(b.dateTime) }), { date: fn.date })
          .aggregate({
            ...counts(),
            min_price: min(b => b.price),
            max_price: max(b => b.price),
            avg_price: avg(b => b.price),
            sum_price: sum(b => b.price),
          }),
      'the day is a date, not its text; the average is not truncated',
    ),
  ]
}

function ranks(gnitz, { bid }) {
  const { rowNumber } = gnitz
  return [
    query(
      gnitz,
      'q18',
      'last bid',
      ['bid'],
      q =>
        q
          .from(bid)
          .groupBy(b => ({ bidder: b.bidder, auction: b.auction }))
          .top(1, { by: b => b.dateTime, desc: true }),
      'of equal times the first in the order of columns is the last bid',
    ),
    query(
      gnitz,
      'q19',
      'ten highest bids of an auction',
      ['bid'],
      q =>
        q
          .from(bid)
          .groupBy(b => ({ auction: b.auction }))
          .top(10, { by: b => b.price, desc: true })
          .window(
            { partitionBy: b => ({ auction: b.auction }), orderBy: [{ by: b => b.price, desc: true }] },
            { rank_number: rowNumber() },
          ),
      'equal prices stand in the order of columns',
    ),
  ]
}

function texts(gnitz, { bid }) {
  const { fn, udf, string } = gnitz
  const countChar = udf('countChar', ['string', 'string'], 'i64', (text, char) => {
    let n = 0n
    for (let i = text.indexOf(char); i >= 0; i = text.indexOf(char, i + 1)) n++
    return n
  })
  const channelId = udf('channelId', ['string'], string().nullable(), url => {
    const found = /(&|^)channel_id=([^&]*)/.exec(url)
    return found === null ? null : found[2]
  })
  const splitIndex = udf('splitIndex', ['string', 'string', 'i32'], string().nullable(), (text, separator, index) => {
    let from = 0
    for (let i = 0; i < index; i++) {
      const at = text.indexOf(separator, from)
      if (at < 0) return null
      from = at + separator.length
    }
    const to = text.indexOf(separator, from)
    return to < 0 ? text.slice(from) : text.slice(from, to)
  })
  return [
    query(gnitz, 'q14', 'calculation', ['bid'], q =>
      q
        .from(bid)
        .map(
          ({ auction, bidder, price, dateTime, extra }, { mul, decimal }) => ({
            auction,
            bidder,
            price: decimal(mul(decimal(price, 20), '0.908'), 23, 3),
            dateTime,
            extra,
          }),
          { mul: fn.mul, decimal: fn.decimal },
        )
        .filter(b => b.price > '1000000' && b.price < '50000000')
        .map(
          (b, { hour, countChar }) => ({
            auction: b.auction,
            bidder: b.bidder,
            price: b.price,
            bidTimeType:
              hour(b.dateTime) >= 8 && hour(b.dateTime) <= 18
                ? 'dayTime'
                : hour(b.dateTime) <= 6 || hour(b.dateTime) >= 20
                  ? 'nightTime'
                  : 'otherTime',
            dateTime: b.dateTime,
            extra: b.extra,
            c_counts: countChar(b.extra, 'c'),
          }),
          { hour: fn.hour, countChar },
        ),
    ),
    query(gnitz, 'q21', 'add channel id', ['bid'], q =>
      q
        .from(bid)
        .map(
          (b, { lower, channelId }) => {
            const name = lower(b.channel)
            const known =
              name === 'apple'
                ? '0'
                : name === 'google'
                  ? '1'
                  : name === 'facebook'
                    ? '2'
                    : name === 'baidu'
                      ? '3'
                      : null
            return {
              auction: b.auction,
              bidder: b.bidder,
              price: b.price,
              channel: b.channel,
              channel_id: known ?? channelId(b.url),
            }
          },
          { lower: fn.lower, channelId },
        )
        .filter(b => b.channel_id !== null),
    ),
    query(gnitz, 'q22', 'directories of addresses', ['bid'], q =>
      q.from(bid).map(
        (b, { splitIndex }) => ({
          auction: b.auction,
          bidder: b.bidder,
          price: b.price,
          channel: b.channel,
          dir1: splitIndex(b.url, '/', 3),
          dir2: splitIndex(b.url, '/', 4),
          dir3: splitIndex(b.url, '/', 5),
        }),
        { splitIndex },
      ),
    ),
  ]
}
