/** What `getStats` says of a stream that is received, in the terms of the quality panel. Pure. */

import { CounterRate, lossOf } from '../lib/counter.ts'
import { codecName, numberIn, roundTripOf, type StatsEntry } from '../lib/rtc-stats.ts'
import type { PlayerStats } from './player.ts'

export class Inbound {
  #stats: PlayerStats = { bitrate: null, codecs: null, buffer: null, roundTrip: null, loss: null }
  #media = false
  readonly #bytes = new CounterRate()
  readonly #arrived = new CounterRate()
  readonly #lost = new CounterRate()
  readonly #waited = new CounterRate()
  readonly #emitted = new CounterRate()

  get stats(): PlayerStats {
    return this.#stats
  }

  /** Something was decoded. */
  get media(): boolean {
    return this.#media
  }

  /** @param at monotonic ms. */
  observe(at: number, report: Iterable<StatsEntry>): void {
    const entries = [...report]
    const streams = entries.filter(({ type }) => type === 'inbound-rtp')
    const sum = (key: string) => streams.reduce((total, stream) => total + (numberIn(stream, key) ?? 0), 0)
    this.#bytes.add(at, sum('bytesReceived'))
    this.#arrived.add(at, sum('packetsReceived'))
    this.#lost.add(at, sum('packetsLost'))

    const picture = streams.find(({ kind }) => kind === 'video')
    const leading = picture ?? streams[0]
    // Both count from the start of the stream; their quotient over the last seconds is the wait of today.
    this.#waited.add(at, numberIn(leading, 'jitterBufferDelay') ?? 0)
    this.#emitted.add(at, numberIn(leading, 'jitterBufferEmittedCount') ?? 0)
    const decoded = picture ? numberIn(picture, 'framesDecoded') : numberIn(leading, 'jitterBufferEmittedCount')
    this.#media ||= (decoded ?? 0) > 0

    // The picture's first, as everywhere.
    const ordered = picture ? [picture, ...streams.filter((stream) => stream !== picture)] : streams
    const codecs = ordered.map((stream) => codecName(entries.find(({ id }) => id === stream.codecId)))
    this.#stats = {
      bitrate: this.#bytes.value === null ? null : this.#bytes.value * 8,
      codecs: codecs.filter((name) => name !== null).join(', ') || null,
      buffer: this.#emitted.value ? (this.#waited.value ?? 0) / this.#emitted.value : null,
      roundTrip: roundTripOf(entries),
      loss: lossOf(this.#lost, this.#arrived),
    }
  }
}
