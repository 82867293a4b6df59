/** The line on which the server tells of overlays: `/events/CHANNEL`, which comes back when it is lost. */

import { Backoff } from '../lib/backoff.ts'
import { parseAdmission, parsePlacement, parseWithdrawal, type Admission, type Placement } from './protocol.ts'

export interface LineEvents {
  /** The line stands, for the first time or again: how to watch. What stands is told again after it. */
  admitted(admission: Admission): void
  placement(placement: Placement): void
  withdrawn(id: string): void
  /** The line is down; it will be tried again. */
  lost(): void
  /** Nothing is sold here. */
  absent(): void
}

export class EventLine {
  readonly #path: string
  readonly #audience: () => URLSearchParams
  readonly #events: LineEvents
  readonly #backoff = new Backoff(500, 15_000)
  /** The server's word for this viewer. */
  #session: string | null = null
  #source: EventSource | null = null
  #retry: ReturnType<typeof setTimeout> | undefined
  #stopped = true

  /** @param audience what the server is told of the viewer now. */
  constructor(channel: string, audience: () => URLSearchParams, events: LineEvents) {
    this.#path = `/events/${encodeURIComponent(channel)}`
    this.#audience = audience
    this.#events = events
  }

  start(): void {
    if (!this.#stopped) return
    this.#stopped = false
    window.addEventListener('online', this.renew)
    this.#connect()
  }

  stop(): void {
    this.#stopped = true
    clearTimeout(this.#retry)
    window.removeEventListener('online', this.renew)
    this.#drop()
  }

  /** Connects anew if it is not stopped: something else is to be told of the viewer, or the device is on another network. */
  readonly renew = (): void => {
    if (this.#stopped) return
    clearTimeout(this.#retry)
    this.#connect()
  }

  #connect(): void {
    this.#drop()
    const source = new EventSource(this.#address())
    this.#source = source
    const on = (name: string, take: (data: string) => void) =>
      source.addEventListener(name, ({ data }: MessageEvent) => this.#source === source && take(String(data)))
    on('session', (data) => {
      const admission = parseAdmission(data)
      if (!admission) return
      this.#backoff.reset()
      // Whoever comes back is the same viewer: nothing is to be seen, or paid for, anew.
      if (admission.token) this.#session = admission.token
      this.#events.admitted(admission)
    })
    on('placement', (data) => {
      const placement = parsePlacement(data)
      if (placement) this.#events.placement(placement)
    })
    on('withdraw', (data) => {
      const id = parseWithdrawal(data)
      if (id) this.#events.withdrawn(id)
    })
    source.onerror = () => {
      // Browsers come back by themselves, all at the same moment; here it is done at the page's own pace.
      const refused = source.readyState === EventSource.CLOSED
      if (this.#source === source) void this.#lost(refused)
    }
  }

  async #lost(refused: boolean): Promise<void> {
    this.#drop()
    if (refused && (await this.#isAbsent())) {
      if (this.#stopped) return
      this.stop()
      return this.#events.absent()
    }
    // Stopped meanwhile, or connected anew.
    if (this.#stopped || this.#source) return
    this.#events.lost()
    clearTimeout(this.#retry)
    this.#retry = setTimeout(() => this.#connect(), this.#backoff.next())
  }

  /** An event source does not say why it was refused. */
  async #isAbsent(): Promise<boolean> {
    try {
      const { status } = await fetch(this.#address(), { method: 'HEAD', cache: 'no-store' })
      return status === 404
    } catch {
      return false
    }
  }

  #address(): string {
    const query = this.#audience()
    if (this.#session !== null) query.set('session', this.#session)
    return `${this.#path}?${query}`
  }

  #drop(): void {
    this.#source?.close()
    this.#source = null
  }
}
