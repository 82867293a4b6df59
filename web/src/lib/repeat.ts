/** Does something again and again, at a pace that its outcome decides, and at once when there is reason to. */
export class Repeat {
  readonly #task: (signal: AbortSignal) => Promise<number>
  #timer: ReturnType<typeof setTimeout> | undefined
  #running: AbortController | null = null
  #stopped = true

  /** @param task one round; resolves to the wait in ms before the next. It must not reject. */
  constructor(task: (signal: AbortSignal) => Promise<number>) {
    this.#task = task
  }

  start(): void {
    if (!this.#stopped) return
    this.#stopped = false
    document.addEventListener('visibilitychange', this.#onVisible)
    window.addEventListener('online', this.now)
    void this.#round()
  }

  stop(): void {
    this.#stopped = true
    clearTimeout(this.#timer)
    this.#running?.abort()
    document.removeEventListener('visibilitychange', this.#onVisible)
    window.removeEventListener('online', this.now)
  }

  /** Runs the next round now, unless one is under way. */
  readonly now = (): void => {
    if (this.#stopped || this.#running) return
    clearTimeout(this.#timer)
    void this.#round()
  }

  readonly #onVisible = (): void => {
    if (document.visibilityState === 'visible') this.now()
  }

  async #round(): Promise<void> {
    const running = new AbortController()
    this.#running = running
    const wait = await this.#task(running.signal)
    this.#running = null
    if (this.#stopped) return
    this.#timer = setTimeout(() => void this.#round(), wait)
  }
}
