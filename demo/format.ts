/** Figures as people read them, and the latencies they come from. */

const grouped = new Intl.NumberFormat('en-US', { maximumFractionDigits: 0 })

/** 1234567 → '1,234,567'. */
export function integer(value: number | bigint): string {
  return grouped.format(value)
}

/** Milliseconds with a unit and three significant digits: '850 µs', '12.3 ms', '4.56 s'. */
export function duration(ms: number): string {
  const [value, unit] = ms < 1 ? [ms * 1000, 'µs'] : ms < 1000 ? [ms, 'ms'] : [ms / 1000, 's']
  return `${value >= 100 ? integer(value) : Number(value.toPrecision(3))} ${unit}`
}

/** '1.23 M rows/s'; 0 when nothing was measured yet. */
export function rate(rows: number, ms: number): string {
  const perSecond = ms > 0 ? (rows / ms) * 1000 : 0
  if (perSecond >= 999_500) return `${(perSecond / 1e6).toFixed(2)} M rows/s`
  return `${integer(perSecond)} rows/s`
}

/** Bytes in mebibytes. */
export function mebibytes(bytes: number): string {
  return `${integer(bytes / 2 ** 20)} MiB`
}

/** '2001-03-04 05:06' of microseconds since 1970. */
export function minute(micros: bigint): string {
  return new Date(Number(micros / 1000n)).toISOString().slice(0, 16).replace('T', ' ')
}

/** Samples of one kind of operation, in milliseconds. */
export class Latencies {
  readonly #samples: number[] = []
  #totalMs = 0

  /** Runs `operation`, keeps how long it took, and hands on its result. */
  measure<T>(operation: () => T): T {
    const start = performance.now()
    const result = operation()
    this.add(performance.now() - start)
    return result
  }

  add(ms: number): void {
    this.#samples.push(ms)
    this.#totalMs += ms
  }

  get count(): number {
    return this.#samples.length
  }

  get totalMs(): number {
    return this.#totalMs
  }

  /** The smallest sample which at least `fraction` of the samples do not exceed; 0 without samples. */
  quantile(fraction: number): number {
    const sorted = Float64Array.from(this.#samples).sort()
    return sorted.length === 0 ? 0 : sorted[Math.max(0, Math.ceil(fraction * sorted.length) - 1)]
  }

  /** 'p50 7.1 ms · p99 12.3 ms', and the maximum where asked for. */
  summary(options: { max?: boolean } = {}): string {
    const parts = [`p50 ${duration(this.quantile(0.5))}`, `p99 ${duration(this.quantile(0.99))}`]
    if (options.max) parts.push(`max ${duration(this.quantile(1))}`)
    return parts.join(' · ')
  }
}
