/** Which overlay stands at a media time. Pure. */

import type { Placement } from './protocol.ts'

/** The media time of a frame, and how far it may be off. */
export interface SourceTime {
  ms: number
  /** A frame that misses a boundary by no more than this is on it: clocks of 90 kHz and of milliseconds round, ms. */
  slack: number
}

/** Overlays that are remembered, and ids of those that the viewer has done with. */
const MAX_PLACEMENTS = 32
const MAX_DONE = 256
/** An overlay is forgotten when the next one begins so long after its end: viewers are behind, ms. */
const KEEP_MS = 120_000

interface Entry {
  placement: Placement
  /** The length that was told first with its token: what that is for. */
  plannedMs: number
  /** It has not been told again since the line came back. */
  doubtful: boolean
}

export class Placements {
  readonly #entries = new Map<string, Entry>()
  readonly #done = new Set<string>()

  /** All that may still come, in the order in which they were told. */
  get all(): readonly Placement[] {
    return [...this.#entries.values()].map(({ placement }) => placement)
  }

  /** Takes in what the server tells; false if it is no news. */
  put(placement: Placement): boolean {
    if (this.#done.has(placement.id)) return false
    const known = this.#entries.get(placement.id)
    if (known) known.doubtful = false
    if (known && known.placement.revision >= placement.revision) return false
    for (const [id, { placement: other }] of this.#entries) {
      // Media time has begun again: what belongs to the broadcast before can never come.
      const isOfAnother = other.beganAt !== placement.beganAt
      if (isOfAnother || other.endMs + KEEP_MS < placement.startMs) this.#entries.delete(id)
    }
    const isSame = known?.placement.token === placement.token
    this.#entries.set(placement.id, {
      placement,
      plannedMs: known && isSame ? known.plannedMs : placement.endMs - placement.startMs,
      doubtful: false,
    })
    if (this.#entries.size > MAX_PLACEMENTS) this.#entries.delete(this.#first() ?? '')
    return true
  }

  /** It goes with the next frame. */
  withdraw(id: string): void {
    this.#entries.delete(id)
  }

  /** The viewer has closed it, or is not able to see it: it does not come back, whatever the server tells of it. */
  finish(id: string): void {
    this.#entries.delete(id)
    this.#done.add(id)
    const [oldest] = this.#done
    if (this.#done.size > MAX_DONE && oldest !== undefined) this.#done.delete(oldest)
  }

  /** The line to the server is new: whatever stands is told again now. */
  renew(): void {
    for (const entry of this.#entries.values()) entry.doubtful = true
  }

  /** What has not been told again was withdrawn while the line was down. */
  settle(): void {
    for (const [id, { doubtful }] of this.#entries) if (doubtful) this.#entries.delete(id)
  }

  /** How long it was to be when it was first told with its token, ms. */
  plannedMs(id: string): number {
    return this.#entries.get(id)?.plannedMs ?? 0
  }

  /** What is on the screen with a frame. @param timeOf the frame's media time as of a placement's broadcast. */
  at(timeOf: (placement: Placement) => SourceTime | null): { placement: Placement; timeMs: number } | null {
    for (const { placement } of this.#entries.values()) {
      const time = timeOf(placement)
      if (time && stands(placement, time)) return { placement, timeMs: Math.max(placement.startMs, time.ms) }
    }
    return null
  }

  /** The one that is over first. */
  #first(): string | undefined {
    return [...this.#entries].sort(([, one], [, other]) => one.placement.endMs - other.placement.endMs)[0]?.[0]
  }
}

function stands({ startMs, endMs }: Placement, { ms, slack }: SourceTime): boolean {
  return ms >= startMs - slack && ms < endMs - slack
}
