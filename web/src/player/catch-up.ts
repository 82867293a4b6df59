/** Keeps a low-latency player close to live: how fast to play, and when to jump. Pure; `now` is a parameter. */

/** What to do now. */
export interface CatchUpDecision {
  /** Playback rate to set. */
  rate: number
  /** Seconds to jump ahead, inside the buffer: so much has piled up that playing it faster would take too long. */
  skip: number
}

/** The low-water mark of the buffer that is aimed at first, seconds: rides over the jitter of a good network. */
const SAFETY_FIRST = 0.25
/** What each stall adds to it, and its bound. */
const SAFETY_STEP = 0.25
const SAFETY_MOST = 2
/** Quiet time after which an increase is taken back step by step. */
const SAFETY_RELAX_MS = 30_000
/** The low-water mark is looked for in this much past: parts come in far shorter periods. */
const WINDOW_MS = 1500
/** Distance from the aim at which the rate changes, and at which it goes back: between them it stays as it is. */
const ENGAGE = 0.2
const RELEASE = 0.04
/** More than this over the aim is jumped, seconds. */
const JUMP = 3
/** The same in the first moments, when nobody follows anything yet: players start as far back as they took to start. */
const JUMP_FIRST = 0.5
/** How long the buffer is watched before the first such decision, ms. */
const FIRST_LOOK_MS = 500

/**
 * The buffer ahead of the player swings with every part that arrives; its minimum is what is really to spare. The minimum
 * over a window is kept near a safety margin by small changes of rate that nobody hears. A stall proves the margin too
 * small for this network and raises it.
 */
export class CatchUp {
  #safety = SAFETY_FIRST
  #samples: { at: number; ahead: number }[] = []
  #rate = 1
  #first = true
  #changedAt = Number.NEGATIVE_INFINITY

  /** The low-water mark aimed at, seconds. */
  get safety(): number {
    return this.#safety
  }

  /** The player ran dry. */
  stalled(now: number): void {
    this.#safety = Math.min(SAFETY_MOST, this.#safety + SAFETY_STEP)
    this.#changedAt = now
    this.reset()
  }

  /** What was seen says nothing of the future: a jump, a pause, a stall. */
  reset(): void {
    this.#samples = []
    this.#rate = 1
  }

  /** @param now monotonic ms; @param ahead seconds buffered ahead of the playing position. */
  decide(now: number, ahead: number): CatchUpDecision {
    this.#relax(now)
    this.#samples.push({ at: now, ahead })
    const observedFor = now - (this.#samples[0]?.at ?? now)
    this.#samples = this.#samples.filter((sample) => now - sample.at <= WINDOW_MS)
    const spare = Math.min(...this.#samples.map((sample) => sample.ahead)) - this.#safety

    const firstLook = this.#first && observedFor >= FIRST_LOOK_MS
    if (spare > JUMP || (firstLook && spare > JUMP_FIRST)) {
      this.#first = false
      this.reset()
      return { rate: 1, skip: spare }
    }
    if (firstLook) this.#first = false
    // Too thin shows at once; too thick is known only after a whole window.
    if (spare > 0 && observedFor < WINDOW_MS * 0.8) return { rate: this.#rate, skip: 0 }
    this.#rate = nextRate(this.#rate, spare)
    return { rate: this.#rate, skip: 0 }
  }

  #relax(now: number): void {
    if (this.#safety <= SAFETY_FIRST || now - this.#changedAt < SAFETY_RELAX_MS) return
    this.#safety = Math.max(SAFETY_FIRST, this.#safety - SAFETY_STEP / 2)
    this.#changedAt = now
  }
}

function nextRate(rate: number, spare: number): number {
  if (spare > (rate > 1 ? RELEASE : ENGAGE)) return spare > 1 ? 1.1 : spare > 0.4 ? 1.06 : 1.03
  if (spare < (rate < 1 ? -RELEASE : -ENGAGE)) return 0.96
  return 1
}
