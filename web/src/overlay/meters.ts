/** The meters of the overlays that a page was told of. Pure. */

import { Meter } from './meter.ts'
import type { Placement } from './protocol.ts'

/** Overlays whose seen time is remembered. */
const MAX_METERS = 64

export interface Metered {
  readonly meter: Meter
  /** Null: nothing is to be told of it. */
  readonly token: string | null
  /** The media time at which it was first on the screen, ms. */
  since: number | null
}

export class Meters {
  readonly #metered = new Map<string, Metered>()

  of(id: string): Metered | undefined {
    return this.#metered.get(id)
  }

  /**
   * An overlay was told of, for the first time or again. A slot that is moved or made longer is sold again: it comes with another
   * token, to which nothing was told yet. @param plannedMs how long the overlay is to be, as it was sold.
   */
  placed({ id, token, displayAfterMs }: Placement, plannedMs: number): void {
    if (this.of(id)?.token === token) return
    this.#metered.delete(id)
    this.#metered.set(id, { meter: new Meter(plannedMs, displayAfterMs), token, since: null })
    const [oldest] = this.#metered.keys()
    if (this.#metered.size > MAX_METERS && oldest !== undefined) this.#metered.delete(oldest)
  }
}
