/** A line to a room that comes back: a WebSocket, or an event stream and POST where WebSockets are blocked. */

import { Backoff } from '../lib/backoff.ts'
import { VERSION, parseEvent, type Event } from './protocol.ts'

/** How long a connection may take until the room welcomes, ms. */
const WELCOME_MS = 8000
/** WebSockets that fail one after the other before the stream is tried. */
const PATIENCE = 2

/** `absent`: this server has no rooms. */
export type LineState = 'connecting' | 'open' | 'lost' | 'refused' | 'absent'

export interface LineEvents {
  /** What the room says, in order. */
  event: (event: Event) => void
  state: (state: LineState) => void
}

/** How the page comes in: what to begin with, and what it had when it lost the line. */
export interface Hello {
  last: number
  after?: number
  epoch?: number
  invite?: string
}

interface Wire {
  send: (text: string) => void
  close: () => void
}

export class Line {
  readonly #channel: string
  readonly #events: LineEvents
  readonly #hello: () => Hello
  readonly #backoff = new Backoff(400, 8000)
  /** Requests that were not answered: they are sent again after the line was lost. Their ids keep them from counting twice. */
  readonly #unanswered = new Map<string, string>()
  #wire: Wire | null = null
  #welcomed = false
  #failures = 0
  #retry: ReturnType<typeof setTimeout> | undefined
  #patience: ReturnType<typeof setTimeout> | undefined
  #stopped = true

  /** @param hello asked at each connection. */
  constructor(channel: string, hello: () => Hello, events: LineEvents) {
    this.#channel = channel
    this.#hello = hello
    this.#events = events
  }

  async start(): Promise<void> {
    this.#stopped = false
    window.addEventListener('online', this.#online)
    this.#events.state('connecting')
    // The cookie by which the room knows this browser: before two connections could each get one of their own.
    const known = await fetch('/api/v1/viewer', { method: 'POST', credentials: 'same-origin' }).catch(() => null)
    if (this.#stopped) return
    if (known?.status === 404) this.#events.state('absent')
    else this.#connect()
  }

  stop(): void {
    this.#stopped = true
    clearTimeout(this.#retry)
    clearTimeout(this.#patience)
    window.removeEventListener('online', this.#online)
    this.#wire?.close()
    this.#wire = null
  }

  /** Sends a request that counts only now. */
  send(request: object): void {
    if (this.#welcomed) this.#wire?.send(JSON.stringify(request))
  }

  /** Sends a request until it is answered. */
  ask(id: string, request: object): void {
    const text = JSON.stringify({ ...request, id })
    this.#unanswered.set(id, text)
    if (this.#welcomed) this.#wire?.send(text)
  }

  readonly #online = (): void => {
    if (this.#wire && this.#welcomed) return
    clearTimeout(this.#retry)
    this.#lost()
  }

  #connect(): void {
    this.#welcomed = false
    clearTimeout(this.#patience)
    this.#patience = setTimeout(() => this.#lost(), WELCOME_MS)
    const stream = this.#failures >= PATIENCE && this.#failures % 2 === 0
    this.#wire = stream ? this.#listen() : this.#openSocket()
  }

  #openSocket(): Wire {
    const url = new URL(`/ws/${this.#channel}`, location.href)
    url.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:'
    const socket = new WebSocket(url)
    let mine = true
    socket.onopen = () => socket.send(JSON.stringify({ type: 'join', v: VERSION, ...this.#hello() }))
    socket.onmessage = ({ data }) => mine && typeof data === 'string' && this.#received(data)
    socket.onclose = () => mine && this.#lost()
    return {
      send: (text) => socket.readyState === WebSocket.OPEN && socket.send(text),
      close: () => {
        mine = false
        socket.close()
      },
    }
  }

  #listen(): Wire {
    const path = `/api/v1/channels/${this.#channel}/room`
    const query = new URLSearchParams(Object.entries(this.#hello()).map(([key, value]) => [key, String(value)]))
    const source = new EventSource(`${path}?${query}`)
    let session = ''
    let mine = true
    source.addEventListener('session', ({ data }) => {
      session = String((JSON.parse(data) as { session?: unknown }).session ?? '')
    })
    source.onmessage = ({ data }) => mine && this.#received(String(data))
    source.onerror = () => {
      source.close()
      if (mine) this.#lost()
    }
    return {
      send: (text) => {
        const headers = { 'onair-session': session, 'content-type': 'application/json' }
        void fetch(path, { method: 'POST', headers, body: text, credentials: 'same-origin' }).catch(() => null)
      },
      close: () => {
        mine = false
        source.close()
      },
    }
  }

  #received(json: string): void {
    const event = parseEvent(json)
    if (!event) return
    if ((event.type === 'accepted' || event.type === 'refused' || event.type === 'audit' || event.type === 'invite') && event.id) {
      this.#unanswered.delete(event.id)
    }
    this.#events.event(event)
    if (event.type === 'welcome') this.#arrived()
    else if (event.type === 'lagged') this.#lost()
    else if (event.type === 'bye' && !event.reconnect) this.#refused()
    else if (event.type === 'refused' && !this.#welcomed) {
      // Not let in: only what is said to pass is tried again.
      if (event.retryMs === null && event.code !== 'unavailable') this.#refused()
    }
  }

  #arrived(): void {
    this.#welcomed = true
    this.#failures = 0
    this.#backoff.reset()
    clearTimeout(this.#patience)
    this.#events.state('open')
    for (const text of this.#unanswered.values()) this.#wire?.send(text)
  }

  #lost(): void {
    this.#wire?.close()
    this.#wire = null
    clearTimeout(this.#patience)
    clearTimeout(this.#retry)
    if (this.#stopped) return
    if (!this.#welcomed) this.#failures += 1
    this.#welcomed = false
    this.#events.state('lost')
    this.#retry = setTimeout(() => this.#connect(), this.#backoff.next())
  }

  #refused(): void {
    this.stop()
    this.#events.state('refused')
  }
}
