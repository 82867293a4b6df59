import { Repeat } from '../lib/repeat.ts'
import { type Cue, readCues } from './slots.ts'

const POLL_MS = 2000
/** Where nothing is sold it may be sold after the server's next start. */
const ABSENT_MS = 60_000
/** Slots that are listed. */
const LISTED = 4

/** A channel's slots, as the broadcaster opens, ends and forbids them. */
export class Slots {
  /** Something is sold on this server. */
  present = $state.raw(false)
  cues = $state.raw<Cue[]>([])
  /** The server's words, where it refused. */
  words = $state.raw('')
  /** Until when no slot begins, ms since the Unix epoch. */
  heldUntil = $state.raw(0)

  readonly #path: string
  readonly #poll = new Repeat((signal) => this.#look(signal))

  constructor(channel: string) {
    this.#path = `/api/v1/channels/${encodeURIComponent(channel)}`
  }

  start(): void {
    this.#poll.start()
  }

  stop(): void {
    this.#poll.stop()
  }

  /** Opens a slot as soon as can be. */
  async open(): Promise<void> {
    await this.#ask(`${this.#path}/cues`, 'POST', {})
  }

  /** Ends a slot, or withdraws it before it begins; nobody brings it back. */
  async forbid(cue: Cue): Promise<void> {
    await this.#ask(`/api/v1/cues/${encodeURIComponent(cue.id)}/veto`, 'POST', null)
  }

  /** No slot is to begin for so long; 0 ends that. */
  async holdOff(seconds: number): Promise<void> {
    const done = await this.#ask(`${this.#path}/hold-off`, 'PUT', { seconds })
    if (done) this.heldUntil = Date.now() + seconds * 1000
  }

  async #ask(path: string, method: string, body: object | null): Promise<boolean> {
    this.words = ''
    try {
      const headers = body ? { 'content-type': 'application/json' } : undefined
      const answer = await fetch(path, { method, headers, body: body && JSON.stringify(body) })
      if (!answer.ok) {
        const { error } = (await answer.json()) as { error?: { message?: string } }
        this.words = error?.message ?? 'The server refused.'
      }
      return answer.ok
    } catch {
      this.words = 'The server does not answer.'
      return false
    } finally {
      this.#poll.now()
    }
  }

  async #look(signal: AbortSignal): Promise<number> {
    try {
      const answer = await fetch(`${this.#path}/cues`, { signal })
      this.present = answer.ok
      if (!answer.ok) return ABSENT_MS
      this.cues = readCues(await answer.json()).slice(0, LISTED)
    } catch {
      // The next round may go better.
    }
    return POLL_MS
  }
}
