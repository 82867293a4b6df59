/** The server's wall clock, seen from here: an offset estimated from request round trips. */

/** Where the server's time comes from and what it said. All times are milliseconds. */
export interface ClockSample {
  /** Local monotonic time at which the request left. */
  sentAt: number
  /** Local monotonic time at which the answer arrived. */
  receivedAt: number
  /** The server's wall clock when it answered, since the Unix epoch. */
  serverTime: number
}

interface Estimate {
  offset: number
  uncertainty: number
  at: number
}

/** How fast two ordinary quartz clocks may drift apart; an old estimate becomes this much less certain. */
const DRIFT_PER_MS = 50e-6

/**
 * Assumes that the server read its clock half-way through the round trip. The error is then at most half the
 * round trip, so of all samples the one with the shortest (ageing by drift) is kept.
 */
export class ServerClock {
  #estimate: Estimate | null = null

  /** Takes a sample if it is better than what is known. Nonsense (an answer before the question) is ignored. */
  observe({ sentAt, receivedAt, serverTime }: ClockSample): void {
    const roundTrip = receivedAt - sentAt
    if (!Number.isFinite(serverTime) || !(roundTrip >= 0)) return
    const uncertainty = roundTrip / 2
    if (uncertainty > this.uncertaintyAt(receivedAt)) return
    this.#estimate = { offset: serverTime - (sentAt + uncertainty), uncertainty, at: receivedAt }
  }

  /** Whether any sample was taken. */
  get synchronized(): boolean {
    return this.#estimate !== null
  }

  /** Half-width of the interval in which the server's clock lies, in ms; infinite before the first sample. */
  uncertaintyAt(localTime: number): number {
    if (!this.#estimate) return Number.POSITIVE_INFINITY
    return this.#estimate.uncertainty + Math.max(0, localTime - this.#estimate.at) * DRIFT_PER_MS
  }

  /** The server's wall clock (ms since the Unix epoch) at a local monotonic time; null before the first sample. */
  timeAt(localTime: number): number | null {
    return this.#estimate ? localTime + this.#estimate.offset : null
  }

  /**
   * How long ago (ms) a wall-clock time was at a local monotonic time; null before the first sample. Never less than nothing: the
   * clock that told it, a source's own, may be ahead of the server's.
   */
  since(wallTime: number, localTime: number): number | null {
    const now = this.timeAt(localTime)
    return now === null ? null : Math.max(0, now - wallTime)
  }
}
