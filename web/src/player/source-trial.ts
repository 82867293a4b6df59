/** Whether the source can be played here, where the programme may be. Pure. */

import type { PlayerFailure, Protocol } from './player.ts'

/** Players of the source that got its media and showed nothing, one after the other, before it is given up. */
const MOST_IN_VAIN = 3

export class SourceTrial {
  #inVain = 0

  /**
   * A player of the source failed: whether the source is to be given up. A network that fails says nothing of it, and a stream
   * that is gone is gone from the programme too. @param protocol null if there was no player yet.
   */
  failed(protocol: Protocol | null, reason: PlayerFailure): boolean {
    // Where WebRTC fails there is another way to the source.
    if (protocol === null || protocol === 'WebRTC') return false
    if (reason === 'media') this.#inVain += 1
    return reason === 'codec' || this.#inVain >= MOST_IN_VAIN
  }

  /** The source plays, or is to be tried anew. */
  reset(): void {
    this.#inVain = 0
  }
}
