// better-sqlite3, in-memory database, default pragmas otherwise.
//  sqlite-triggers:  hand-written triggers keep a view table current
//  sqlite-recompute: base tables only; the query is run again after each batch
//                    and its rows are fetched
import Database from 'better-sqlite3'

export const pkg = 'better-sqlite3'

export const variants = {
  'sqlite-triggers': {
    supports: ['W1', 'W2', 'W3', 'W4', 'W5', 'W6'],
    why: { W7: 'deletion from a closure is not practical in triggers' },
  },
  'sqlite-recompute': { supports: ['W1', 'W2', 'W3', 'W4', 'W5', 'W6', 'W7'] },
}

const EVENTS = `CREATE TABLE events(id INTEGER PRIMARY KEY, user INTEGER NOT NULL, kind INTEGER NOT NULL,
  amount REAL NOT NULL, ts INTEGER NOT NULL);`
const ORDERS = `CREATE TABLE orders(id INTEGER PRIMARY KEY, customer_id INTEGER NOT NULL, amount REAL NOT NULL);`
const CUSTOMERS = `CREATE TABLE customers(id INTEGER PRIMARY KEY, region INTEGER NOT NULL);`

const WL = {
  W1: {
    base: EVENTS,
    triggers: `
      CREATE TABLE v(id INTEGER PRIMARY KEY, user INTEGER, amount2 REAL);
      CREATE TRIGGER ei AFTER INSERT ON events WHEN NEW.kind = 3 AND NEW.amount > 500 BEGIN
        INSERT INTO v VALUES (NEW.id, NEW.user, NEW.amount * 2); END;
      CREATE TRIGGER ed AFTER DELETE ON events WHEN OLD.kind = 3 AND OLD.amount > 500 BEGIN
        DELETE FROM v WHERE id = OLD.id; END;`,
    query: `SELECT id, user, amount * 2 FROM events WHERE kind = 3 AND amount > 500`,
    recomputeIndex: `CREATE INDEX ka ON events(kind, amount, user);`,
  },
  W2: {
    base: EVENTS,
    triggers: `
      CREATE TABLE v(user INTEGER PRIMARY KEY, n INTEGER, s REAL);
      CREATE TRIGGER ei AFTER INSERT ON events BEGIN
        INSERT INTO v VALUES (NEW.user, 1, NEW.amount)
          ON CONFLICT(user) DO UPDATE SET n = n + 1, s = s + excluded.s; END;
      CREATE TRIGGER ed AFTER DELETE ON events BEGIN
        UPDATE v SET n = n - 1, s = s - OLD.amount WHERE user = OLD.user;
        DELETE FROM v WHERE user = OLD.user AND n = 0; END;`,
    query: `SELECT user, COUNT(*), SUM(amount) FROM events GROUP BY user`,
    recomputeIndex: `CREATE INDEX ua ON events(user, amount);`,
  },
  W3: {
    base: ORDERS + CUSTOMERS,
    triggers: `
      CREATE INDEX oc ON orders(customer_id);
      CREATE TABLE v(id INTEGER PRIMARY KEY, region INTEGER, amount REAL);
      CREATE TRIGGER oi AFTER INSERT ON orders BEGIN
        INSERT INTO v SELECT NEW.id, region, NEW.amount FROM customers WHERE id = NEW.customer_id; END;
      CREATE TRIGGER od AFTER DELETE ON orders BEGIN
        DELETE FROM v WHERE id = OLD.id; END;
      CREATE TRIGGER cu AFTER UPDATE OF region ON customers BEGIN
        UPDATE v SET region = NEW.region WHERE id IN (SELECT id FROM orders WHERE customer_id = NEW.id); END;`,
    query: `SELECT o.id, c.region, o.amount FROM orders o JOIN customers c ON o.customer_id = c.id`,
    recomputeIndex: `CREATE INDEX oc ON orders(customer_id, amount); ANALYZE;`,
  },
  W4: {
    base: ORDERS + CUSTOMERS,
    triggers: `
      CREATE INDEX oc ON orders(customer_id);
      CREATE TABLE v(region INTEGER PRIMARY KEY, n INTEGER NOT NULL, s REAL NOT NULL);
      CREATE TRIGGER oi AFTER INSERT ON orders BEGIN
        INSERT INTO v SELECT region, 1, NEW.amount FROM customers WHERE id = NEW.customer_id
          ON CONFLICT(region) DO UPDATE SET n = n + 1, s = s + excluded.s; END;
      CREATE TRIGGER od AFTER DELETE ON orders BEGIN
        UPDATE v SET n = n - 1, s = s - OLD.amount
          WHERE region = (SELECT region FROM customers WHERE id = OLD.customer_id);
        DELETE FROM v WHERE n = 0; END;
      CREATE TRIGGER cu AFTER UPDATE OF region ON customers BEGIN
        INSERT INTO v SELECT NEW.region, COUNT(*), SUM(amount) FROM orders WHERE customer_id = NEW.id HAVING COUNT(*) > 0
          ON CONFLICT(region) DO UPDATE SET n = n + excluded.n, s = s + excluded.s;
        UPDATE v SET
          n = n - (SELECT COUNT(*) FROM orders WHERE customer_id = NEW.id),
          s = s - (SELECT COALESCE(SUM(amount), 0) FROM orders WHERE customer_id = NEW.id)
          WHERE region = OLD.region;
        DELETE FROM v WHERE n = 0; END;`,
    query: `SELECT c.region, COUNT(*), SUM(o.amount) FROM orders o JOIN customers c ON o.customer_id = c.id GROUP BY c.region`,
    recomputeIndex: `CREATE INDEX oc ON orders(customer_id, amount); CREATE INDEX cr ON customers(region); ANALYZE;`,
  },
  W5: {
    base: EVENTS,
    triggers: `
      CREATE INDEX ua ON events(user, amount);
      CREATE TABLE v(user INTEGER PRIMARY KEY, mn REAL, mx REAL);
      CREATE TRIGGER ei AFTER INSERT ON events BEGIN
        INSERT INTO v VALUES (NEW.user, NEW.amount, NEW.amount)
          ON CONFLICT(user) DO UPDATE SET mn = min(mn, excluded.mn), mx = max(mx, excluded.mx)
          WHERE excluded.mn < mn OR excluded.mx > mx; END;
      CREATE TRIGGER ed AFTER DELETE ON events BEGIN
        UPDATE v SET mn = (SELECT MIN(amount) FROM events WHERE user = OLD.user)
          WHERE user = OLD.user AND mn = OLD.amount;
        UPDATE v SET mx = (SELECT MAX(amount) FROM events WHERE user = OLD.user)
          WHERE user = OLD.user AND mx = OLD.amount;
        DELETE FROM v WHERE user = OLD.user AND mn IS NULL; END;`,
    query: `SELECT user, MIN(amount), MAX(amount) FROM events GROUP BY user`,
    recomputeIndex: `CREATE INDEX ua ON events(user, amount);`,
  },
  W6: {
    base: ORDERS,
    triggers: `
      CREATE INDEX ca ON orders(customer_id, amount DESC, id);
      CREATE TABLE v(customer_id INTEGER, amount REAL, id INTEGER, PRIMARY KEY (customer_id, amount DESC, id)) WITHOUT ROWID;
      CREATE TRIGGER oi AFTER INSERT ON orders BEGIN
        INSERT INTO v VALUES (NEW.customer_id, NEW.amount, NEW.id);
        DELETE FROM v WHERE customer_id = NEW.customer_id AND (amount, id) = (
          SELECT amount, id FROM v WHERE customer_id = NEW.customer_id
          ORDER BY amount DESC, id LIMIT 1 OFFSET 3); END;
      CREATE TRIGGER od AFTER DELETE ON orders
        WHEN EXISTS (SELECT 1 FROM v WHERE customer_id = OLD.customer_id AND amount = OLD.amount AND id = OLD.id) BEGIN
        DELETE FROM v WHERE customer_id = OLD.customer_id AND amount = OLD.amount AND id = OLD.id;
        INSERT OR IGNORE INTO v SELECT customer_id, amount, id FROM orders
          WHERE customer_id = OLD.customer_id ORDER BY amount DESC, id LIMIT 3; END;`,
    query: `SELECT customer_id, id, amount FROM (
      SELECT *, ROW_NUMBER() OVER (PARTITION BY customer_id ORDER BY amount DESC, id) AS r FROM orders) WHERE r <= 3`,
    recomputeIndex: `CREATE INDEX ca ON orders(customer_id, amount DESC, id);`,
    viewQuery: `SELECT customer_id, id, amount FROM v`,
  },
  W7: {
    base: `CREATE TABLE edges(src INTEGER NOT NULL, dst INTEGER NOT NULL, PRIMARY KEY (src, dst)) WITHOUT ROWID;`,
    query: `WITH RECURSIVE r(x, y) AS (SELECT src, dst FROM edges UNION SELECT r.x, e.dst FROM r JOIN edges e ON e.src = r.y)
      SELECT x, y FROM r`,
  },
}

export function create(w, variant) {
  const db = new Database(':memory:')
  const wl = WL[w.name]
  db.exec(wl.base)
  const triggers = variant === 'sqlite-triggers'
  if (triggers) db.exec(wl.triggers)

  let insert
  let remove
  let addCustomer
  let moveCustomer
  if (w.shape === 'events') {
    const ins = db.prepare('INSERT INTO events VALUES (?, ?, ?, ?, ?)')
    const del = db.prepare('DELETE FROM events WHERE id = ?')
    insert = r => ins.run(r.id, r.user, r.kind, r.amount, r.ts)
    remove = r => del.run(r.id)
  } else if (w.shape === 'edges') {
    const ins = db.prepare('INSERT INTO edges VALUES (?, ?)')
    const del = db.prepare('DELETE FROM edges WHERE src = ? AND dst = ?')
    insert = r => ins.run(r.src, r.dst)
    remove = r => del.run(r.src, r.dst)
  } else {
    const ins = db.prepare('INSERT INTO orders VALUES (?, ?, ?)')
    const del = db.prepare('DELETE FROM orders WHERE id = ?')
    insert = r => ins.run(r.id, r.customer_id, r.amount)
    remove = r => del.run(r.id)
    if (w.shape === 'orders') {
      const ci = db.prepare('INSERT INTO customers VALUES (?, ?)')
      const cu = db.prepare('UPDATE customers SET region = ? WHERE id = ?')
      addCustomer = r => ci.run(r.id, r.region)
      moveCustomer = u => cu.run(u.new.region, u.new.id)
    }
  }
  const write = db.transaction(b => {
    for (const r of b.del) remove(r)
    for (const r of b.ins) insert(r)
    for (const c of b.custIns) addCustomer(c)
    for (const u of b.custUpd) moveCustomer(u)
  })

  let query
  let result = []
  const index = () => {
    if (wl.recomputeIndex) db.exec(wl.recomputeIndex)
    query = db.prepare(wl.query).raw()
  }
  const recompute = () => {
    result = query.all()
  }
  if (triggers) {
    return {
      apply: write,
      rows: () =>
        db
          .prepare(wl.viewQuery ?? 'SELECT * FROM v')
          .raw()
          .all(),
      close: () => db.close(),
    }
  }
  const apply = b => {
    write(b)
    recompute()
  }
  const loaded = () => {
    index()
    recompute()
  }
  // W1 is all load, so its view is refreshed after every batch
  if (w.name === 'W1') index()
  return {
    load: w.name === 'W1' ? apply : write,
    loaded: w.name === 'W1' ? undefined : loaded,
    loadMode: w.name === 'W1' ? 'recomputed per batch' : 'bulk, then one query',
    apply,
    rows: () => result,
    close: () => db.close(),
  }
}
