/** Growing waits between attempts, with jitter so that a thousand viewers do not come back in the same instant. */
export class Backoff {
  #attempts = 0
  readonly #first: number
  readonly #longest: number
  readonly #growth: number
  readonly #random: () => number

  /** @param first the first wait in ms; @param longest the bound in ms; @param random uniform in [0, 1). */
  constructor(first: number, longest: number, growth = 1.5, random: () => number = Math.random) {
    this.#first = first
    this.#longest = longest
    this.#growth = growth
    this.#random = random
  }

  /** The next wait in ms: `growth` times the one before up to the bound, less up to a fifth. */
  next(): number {
    const full = Math.min(this.#longest, this.#first * this.#growth ** this.#attempts)
    this.#attempts += 1
    return full * (1 - 0.2 * this.#random())
  }

  /** It worked: the next failure waits the first wait again. */
  reset(): void {
    this.#attempts = 0
  }
}
