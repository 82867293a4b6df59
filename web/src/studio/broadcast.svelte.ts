/** One broadcaster at one channel: goes live, stays live, and knows how it goes. */

import type { Api, Channel } from '../lib/api.ts'
import { Backoff } from '../lib/backoff.ts'
import type { PeerFailure } from '../lib/peer.ts'
import { Repeat } from '../lib/repeat.ts'
import { Awake } from './awake.ts'
import { Capture } from './capture.svelte.ts'
import { verdictOf, type Outflow, type Verdict } from './health.ts'
import { reactionTo, type OnAir } from './on-air.ts'
import { Publisher } from './publisher.ts'
import { loadPreset, savePreset, type Preset } from './quality.ts'

/** How often the viewers are counted, ms. */
const POLL_LIVE_MS = 3000
const POLL_MS = 6000
/** How often the page's readings are renewed, ms. */
const OBSERVE_MS = 500
/** Having been on the air for so long, the next failure waits shortly again, ms. */
const STEADY_MS = 10_000

export class Broadcast {
  state = $state.raw<OnAir>('off')
  /** The server's words, where it refused. */
  words = $state.raw('')
  channel = $state.raw<Channel | null>(null)
  preset = $state.raw<Preset>(loadPreset())
  flow = $state.raw<Outflow | null>(null)
  codecs = $state.raw<string | null>(null)
  verdict = $state.raw<Verdict | null>(null)
  /** How long it has been on the air, ms. */
  elapsed = $state.raw(0)
  readonly capture = new Capture(this.preset, (track) => void this.#replaced(track))

  readonly #api: Api
  readonly #name: string
  readonly #awake = new Awake()
  readonly #backoff = new Backoff(600, 8000)
  readonly #poll = new Repeat((signal) => this.#ask(signal))
  #publisher: Publisher | null = null
  #retry: ReturnType<typeof setTimeout> | undefined
  #observer: ReturnType<typeof setInterval> | undefined
  #liveSince: number | null = null
  #connectedAt = 0
  #attempts = 0

  constructor(api: Api, name: string) {
    this.#api = api
    this.#name = name
  }

  /** On the air, or on the way there: there is something to end. */
  get wanted(): boolean {
    return this.state === 'connecting' || this.state === 'live' || this.state === 'reconnecting'
  }

  start(): void {
    this.#poll.start()
    this.#observer = setInterval(() => this.#observe(), OBSERVE_MS)
    window.addEventListener('online', this.#online)
    void this.capture.open()
  }

  stop(): void {
    this.end()
    this.#poll.stop()
    clearInterval(this.#observer)
    window.removeEventListener('online', this.#online)
    this.capture.close()
  }

  goLive(): void {
    if (this.wanted || !this.capture.stream) return
    this.state = 'connecting'
    this.words = ''
    this.#liveSince = null
    this.#attempts = 0
    this.elapsed = 0
    this.#backoff.reset()
    this.#awake.on()
    this.#connect()
  }

  end(): void {
    this.#halt('off', '')
  }

  async choose(preset: Preset): Promise<void> {
    this.preset = preset
    savePreset(preset)
    await this.capture.use(preset)
    await this.#publisher?.use(preset)
  }

  #connect(): void {
    clearTimeout(this.#retry)
    this.#retry = undefined
    this.#publisher?.close()
    const { stream } = this.capture
    if (!stream) return this.end()
    const publisher = new Publisher(this.#name, stream, this.preset, {
      connected: () => this.#connected(),
      failed: (failure) => void this.#failed(failure),
    })
    this.#publisher = publisher
    publisher.start()
  }

  #connected(): void {
    const now = performance.now()
    // Also after an ICE restart, when it has been live all the time.
    if (this.state !== 'live') this.#connectedAt = now
    this.state = 'live'
    this.#attempts = 0
    this.#liveSince ??= now
    this.#poll.now()
  }

  async #failed(failure: PeerFailure): Promise<void> {
    const publisher = this.#publisher
    console.info(`onair: publishing failed: ${failure.trouble}: ${failure.message}`)
    if (this.state === 'live' && performance.now() - this.#connectedAt > STEADY_MS) this.#backoff.reset()
    this.state = this.#liveSince === null ? 'connecting' : 'reconnecting'
    this.#attempts += 1
    const reaction = reactionTo({
      trouble: failure.trouble,
      status: failure.refusal?.status ?? null,
      message: failure.message,
      wasLive: this.#liveSince !== null,
      attempts: this.#attempts,
      othersLive: failure.trouble === 'closed' && (await this.#othersLive()),
    })
    // Ended, or connected anew, while the server was asked.
    if (publisher !== this.#publisher || !this.wanted) return
    if (reaction.next === 'stop') return this.#halt(reaction.state, reaction.words)
    this.#publisher?.close()
    const wait = Math.max(this.#backoff.next(), failure.refusal?.retryAfter ?? 0)
    this.#retry = setTimeout(() => this.#connect(), wait)
  }

  async #othersLive(): Promise<boolean> {
    try {
      return (await this.#api.channel(this.#name)).live
    } catch {
      return false
    }
  }

  #halt(state: OnAir, words: string): void {
    clearTimeout(this.#retry)
    this.#retry = undefined
    this.#publisher?.close()
    this.#publisher = null
    this.#awake.off()
    this.state = state
    this.words = words
    this.flow = null
    this.verdict = null
    this.#poll.now()
  }

  async #replaced(track: MediaStreamTrack): Promise<void> {
    const { stream } = this.capture
    if (!this.#publisher || !stream) return
    // A kind that was not sent before needs a new session.
    if (!(await this.#publisher.replace(track))) this.#connect()
  }

  /** There is a network again: no reason to wait any longer. */
  readonly #online = (): void => {
    if (this.#retry !== undefined) this.#connect()
  }

  async #ask(signal: AbortSignal): Promise<number> {
    try {
      this.channel = await this.#api.channel(this.#name, signal)
    } catch {
      // What was known last stays on the page.
    }
    return this.wanted ? POLL_LIVE_MS : POLL_MS
  }

  #observe(): void {
    const now = performance.now()
    if (this.#liveSince !== null && this.wanted) this.elapsed = now - this.#liveSince
    if (this.state !== 'live' || !this.#publisher) return
    this.flow = this.#publisher.outbound.flow
    this.codecs = this.#publisher.outbound.codecs
    const still = this.capture.screen || !this.capture.cameraOn
    this.verdict = verdictOf(this.flow, this.preset, now - this.#connectedAt, still)
  }
}
