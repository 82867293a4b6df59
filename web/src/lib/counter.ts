/** How fast a counter grows, over the last seconds. */
export class CounterRate {
  #readings: { at: number; total: number }[] = []

  /** @param windowMs how far back the rate reaches, ms. */
  constructor(readonly windowMs = 5000) {}

  /** @param at monotonic ms; @param total the counter. One that went back was started anew. */
  add(at: number, total: number): void {
    const last = this.#readings.at(-1)
    if (last && (total < last.total || at < last.at)) this.#readings = []
    this.#readings.push({ at, total })
    // One reading from before the window stays: the window begins at it.
    while ((this.#readings[1]?.at ?? at) <= at - this.windowMs) this.#readings.shift()
  }

  /** Per second; null before there are two readings. */
  get value(): number | null {
    const first = this.#readings[0]
    const last = this.#readings.at(-1)
    if (!first || !last || last.at === first.at) return null
    return ((last.total - first.total) / (last.at - first.at)) * 1000
  }
}

/** The part of all that was sent which did not arrive, 0 to 1; null while unknown. */
export function lossOf(lost: CounterRate, arrived: CounterRate): number | null {
  if (lost.value === null || arrived.value === null) return null
  const sent = lost.value + arrived.value
  return sent > 0 ? lost.value / sent : 0
}
