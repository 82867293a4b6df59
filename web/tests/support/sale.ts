/** What is sold on a test's server: an advertiser with money, slots, and what came of them. */

import assert from 'node:assert/strict'

import { png } from './png.ts'
import type { Server } from './server.ts'

/** The sizes of creatives of each format. */
const CREATIVES = { lower_third: [640, 108], corner: [300, 250], l_shape: [320, 180], double_box: [320, 180] } as const
/** Within so short a flight a budget is not spread over time, ms. */
const FLIGHT_MS = 10 * 60_000
/** Slots are announced so far ahead that everybody is ready on a busy machine, ms. */
const AHEAD_MS = 2500
/** Begun on such a boundary, a slot begins with a frame at 10 and at 30 frames a second, ms. */
const GRID_MS = 100

export type Format = keyof typeof CREATIVES
export const FORMATS = Object.keys(CREATIVES) as Format[]
export const ADVERTISER = 'Ann’s Teas'
export const CLICK_URL = 'https://teas.example/summer'

export interface Cue {
  id: string
  start_ns: number
  duration_ms: number
  stage: string
  outcome?: { what: string; why?: string } | null
  settled?: { spent: number } | null
}

/** Displays that pages told, and that the server counted; paid for or not. */
export interface Displays {
  client: number
  server: number
}

export class Sale {
  readonly #server: Server
  readonly #campaign: number
  readonly #opened = new Set<string>()

  private constructor(server: Server, campaign: number) {
    this.#server = server
    this.#campaign = campaign
  }

  /** Books a campaign that can pay for everything, with a creative of each format in this colour. @param more of its terms. */
  static async book(server: Server, colour: readonly [number, number, number], more: object = {}): Promise<Sale> {
    const advertiser = await ask<{ id: number }>(server, 'POST', '/advertisers', { name: ADVERTISER, domains: ['teas.example'] })
    const [start, end] = [0, FLIGHT_MS].map((later) => new Date(Date.now() + later).toISOString())
    const terms = { name: 'Summer', cpm: '10.00', start, end, pacing: 'front_loaded', ...more }
    const { id } = await ask<{ id: number }>(server, 'POST', `/advertisers/${advertiser.id}/campaigns`, terms)
    await ask(server, 'POST', `/campaigns/${id}/payments`, { number: 1, amount: '1000000.00' })
    for (const format of FORMATS) {
      const [width, height] = CREATIVES[format]
      const form = new FormData()
      form.set('image', new Blob([png(width, height, colour)], { type: 'image/png' }), format)
      form.set('format', format)
      form.set('click_url', CLICK_URL)
      await ask(server, 'POST', `/campaigns/${id}/creatives`, form)
    }
    return new Sale(server, id)
  }

  deliver(channel: string, delivery: 'guided' | 'guided_and_burned'): Promise<void> {
    return ask(this.#server, 'PUT', `/channels/${channel}/sale`, { delivery })
  }

  /** Announces slots, one right after the other; gives their ids. */
  async announce(channel: string, slots: readonly { format?: Format; duration: number }[]): Promise<string[]> {
    let start = await this.#soon(channel)
    const ids: string[] = []
    for (const { format, duration } of slots) {
      ids.push(await this.#open(channel, { format, duration_ms: duration, start_ns: start * 1e6 }))
      start += duration
    }
    return ids
  }

  /** Has an image burned in that nobody pays for; gives when, as a cue has it. */
  async byHand(channel: string, image: Blob, duration: number): Promise<Pick<Cue, 'start_ns' | 'duration_ms'>> {
    const slot = { start_ns: (await this.#soon(channel)) * 1e6, duration_ms: duration }
    const form = new FormData()
    form.set('image', image, 'image')
    form.set('format', 'lower_third')
    for (const [name, value] of Object.entries(slot)) form.set(name, String(value))
    await ask(this.#server, 'POST', `/channels/${channel}/overlays`, form)
    return slot
  }

  /** Opens a slot as soon as it can be; gives its id. */
  now(channel: string, duration: number, format?: Format): Promise<string> {
    return this.#open(channel, { format, duration_ms: duration })
  }

  cue(id: string): Promise<Cue> {
    return ask(this.#server, 'GET', `/cues/${id}`)
  }

  /** Ends a slot at once. */
  withdraw(id: string): Promise<void> {
    return ask(this.#server, 'DELETE', `/cues/${id}`)
  }

  /** Ends whatever is left of all slots, so that the next test has the time to itself. */
  async clear(): Promise<void> {
    for (const id of this.#opened) await this.#server.operate(`/api/v1/cues/${id}`, { method: 'DELETE' })
    this.#opened.clear()
  }

  /** All that was displayed so far. */
  async displays(): Promise<Displays> {
    type Class = { charged: number; free: number }
    const { total } = await ask<{ total: Record<'client' | 'server', Class> }>(this.#server, 'GET', `/reports?campaign=${this.#campaign}`)
    return { client: total.client.charged + total.client.free, server: total.server.charged + total.server.free }
  }

  /** A counter of the server's metrics; 0 before it has counted. */
  async counter(name: string): Promise<number> {
    const text = await (await this.#server.operate('/metrics')).text()
    const line = text.split('\n').find((candidate) => candidate.startsWith(`onair_${name} `))
    return Number(line?.slice(line.lastIndexOf(' ')) ?? 0)
  }

  /** A moment of media time that leaves everybody time, ms. */
  async #soon(channel: string): Promise<number> {
    const { since } = await ask<{ since: string }>(this.#server, 'GET', `/channels/${channel}`)
    return Math.ceil((Date.now() - Date.parse(since) + AHEAD_MS) / GRID_MS) * GRID_MS
  }

  async #open(channel: string, cue: object): Promise<string> {
    const { id } = await ask<{ id: string }>(this.#server, 'POST', `/channels/${channel}/cues`, cue)
    this.#opened.add(id)
    return id
  }
}

async function ask<T>(server: Server, method: string, path: string, body?: object): Promise<T> {
  const form = body instanceof FormData
  const response = await server.operate(`/api/v1${path}`, {
    method,
    ...(body && { body: form ? body : JSON.stringify(body) }),
    ...(body && !form && { headers: { 'content-type': 'application/json' } }),
  })
  const text = await response.text()
  assert.ok(response.ok, `${method} ${path}: ${response.status} ${text}`)
  return (text ? JSON.parse(text) : undefined) as T
}
