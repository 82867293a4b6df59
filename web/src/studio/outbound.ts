/** What `getStats` says of a stream that is sent. Pure. */

import { CounterRate, lossOf } from '../lib/counter.ts'
import { codecName, numberIn, roundTripOf, type StatsEntry } from '../lib/rtc-stats.ts'
import type { Outflow } from './health.ts'

export class Outbound {
  #flow: Outflow | null = null
  #codecs: string | null = null
  readonly #bytes = new CounterRate()
  readonly #arrived = new CounterRate()
  readonly #lost = new CounterRate()
  readonly #captured = new CounterRate()
  readonly #encoded = new CounterRate()
  readonly #bandwidth = new CounterRate()
  readonly #processor = new CounterRate()

  get flow(): Outflow | null {
    return this.#flow
  }

  /** As in RFC 6381. */
  get codecs(): string | null {
    return this.#codecs
  }

  /** @param at monotonic ms. */
  observe(at: number, report: Iterable<StatsEntry>): void {
    const entries = [...report]
    const streams = entries.filter(({ type }) => type === 'outbound-rtp')
    const sum = (list: StatsEntry[], key: string) => list.reduce((total, entry) => total + (numberIn(entry, key) ?? 0), 0)
    this.#bytes.add(at, sum(streams, 'bytesSent'))

    // The server's receiver reports tell what it did not get.
    const lost = sum(entries.filter(({ type }) => type === 'remote-inbound-rtp'), 'packetsLost')
    this.#lost.add(at, lost)
    this.#arrived.add(at, Math.max(0, sum(streams, 'packetsSent') - lost))

    const picture = streams.find(({ kind }) => kind === 'video')
    const source = entries.find(({ id }) => picture !== undefined && id === picture.mediaSourceId)
    const captured = numberIn(source, 'frames')
    const encoded = numberIn(picture, 'framesEncoded')
    if (captured !== null) this.#captured.add(at, captured)
    if (encoded !== null) this.#encoded.add(at, encoded)
    const short = (picture?.qualityLimitationDurations ?? {}) as Record<string, unknown>
    this.#bandwidth.add(at, Number(short.bandwidth ?? 0))
    this.#processor.add(at, Number(short.cpu ?? 0))

    this.#flow = {
      bitrate: this.#bytes.value === null ? null : this.#bytes.value * 8,
      width: numberIn(picture, 'frameWidth') ?? 0,
      height: numberIn(picture, 'frameHeight') ?? 0,
      framesPerSecond: this.#encoded.value,
      roundTrip: roundTripOf(entries),
      loss: lossOf(this.#lost, this.#arrived),
      dropped: this.#dropped(),
      shortOfBandwidth: this.#bandwidth.value ?? 0,
      shortOfProcessor: this.#processor.value ?? 0,
    }
    const ordered = picture ? [picture, ...streams.filter((stream) => stream !== picture)] : streams
    const codecs = ordered.map((stream) => codecName(entries.find(({ id }) => id === stream.codecId)))
    this.#codecs = codecs.filter((name) => name !== null).join(', ') || null
  }

  #dropped(): number | null {
    const [captured, encoded] = [this.#captured.value, this.#encoded.value]
    return captured && encoded !== null ? Math.max(0, 1 - encoded / captured) : null
  }
}
