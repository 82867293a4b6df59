/** The stream's bit rate from the parts that arrived, over their own duration rather than the time they took. */
export class BitrateMeter {
  #parts: { seconds: number; bytes: number }[] = []

  /** @param windowSeconds how much media the average spans. */
  constructor(readonly windowSeconds = 6) {}

  add(seconds: number, bytes: number): void {
    if (!(seconds > 0) || !(bytes >= 0)) return
    this.#parts.push({ seconds, bytes })
    while (this.#parts.length > 1 && this.#total('seconds') > this.windowSeconds) this.#parts.shift()
  }

  /** Bits per second; null before anything arrived. */
  get value(): number | null {
    return this.#parts.length === 0 ? null : (this.#total('bytes') * 8) / this.#total('seconds')
  }

  #total(key: 'seconds' | 'bytes'): number {
    return this.#parts.reduce((sum, part) => sum + part[key], 0)
  }
}
