/** Keeps the screen on while on the air: a phone that goes to sleep takes the camera with it. */
export class Awake {
  #lock: WakeLockSentinel | null = null
  #wanted = false

  on(): void {
    if (this.#wanted || !('wakeLock' in navigator)) return
    this.#wanted = true
    document.addEventListener('visibilitychange', this.#renew)
    void this.#renew()
  }

  off(): void {
    this.#wanted = false
    document.removeEventListener('visibilitychange', this.#renew)
    void this.#lock?.release()
    this.#lock = null
  }

  /** Browsers take the lock back when the page is hidden. */
  readonly #renew = async (): Promise<void> => {
    if (document.visibilityState !== 'visible') return
    try {
      const lock = await navigator.wakeLock.request('screen')
      if (this.#wanted) this.#lock = lock
      else await lock.release()
    } catch {
      // Low battery: the phone decides.
    }
  }
}
