/** A viewer whose page draws overlays itself, and what it told, asked for and showed. */

import assert from 'node:assert/strict'

import type { Browser, Page } from 'playwright-core'

import { DESKTOP, Visit } from './browser.ts'
import { eventually } from './server.ts'

/** How long anything may take on a busy machine, ms. */
export const PATIENCE_MS = 30_000
/** Where a clip has the number of its frame: sixteen blocks, white for a one, in parts of the picture. */
export interface Code {
  /** The middle of the first block, and from each to the next. */
  left: number
  pitch: number
  /** The blocks' middle. */
  top: number
}

/** Of `demo.flv`, and of all other fixtures. */
export const DEMO_CODE: Code = { left: 131 / 1280, pitch: 30 / 1280, top: 687 / 720 }
export const FIXTURE_CODE: Code = { left: 1 / 32, pitch: 1 / 16, top: 1 / 16 }

/** A frame that was shown. */
export interface Frame {
  /** Its number. */
  code: number
  /** An overlay is painted along with it. */
  on: boolean
  /** The wall clock, Unix ms. */
  at: number
}

interface Options {
  /** Without WebRTC. */
  hls?: boolean
  options?: Parameters<Browser['newContext']>[0]
  prepare?: (page: Page) => Promise<unknown>
}

export class GuidedVisit {
  readonly visit: Visit
  /** What the server took: the last part of the address. */
  readonly told: string[]
  /** What the server did not count. */
  readonly refused: string[]
  /** Requests for the stream: protocol and feed. */
  readonly streams: string[]
  /** The WebRTC session that was made last. */
  readonly #whep: { location: string | null }

  private constructor(visit: Visit, told: string[], refused: string[], streams: string[], whep: { location: string | null }) {
    this.visit = visit
    this.told = told
    this.refused = refused
    this.streams = streams
    this.#whep = whep
  }

  /** A viewer of a channel whose picture plays. */
  static async open(browser: Browser, url: string, { hls = false, options = DESKTOP, prepare }: Options = {}): Promise<GuidedVisit> {
    const [told, refused, streams, whep]: [string[], string[], string[], { location: string | null }] = [[], [], [], { location: null }]
    const visit = await Visit.open(browser, url, options, async (page) => {
      page.on('response', (response) => {
        const { pathname } = new URL(response.url())
        if (pathname.startsWith('/i/')) {
          const event = pathname.split('/').at(-1) ?? ''
          if (response.status() === 204) told.push(event)
          else if (response.status() === 403) refused.push(event)
        }
        if (/^\/whep\/[^/]+$/.test(pathname)) whep.location = response.headers()['location'] ?? null
      })
      page.on('request', (request) => {
        const { pathname, searchParams } = new URL(request.url())
        const protocol = /^\/whep\/[^/]+$/.test(pathname) ? 'whep' : /^\/hls\/[^/]+\/index\.m3u8$/.test(pathname) ? 'hls' : null
        const feed = searchParams.get('feed') ?? (searchParams.has('session') ? 'source' : 'program')
        if (protocol) streams.push(`${protocol} ${feed}`)
      })
      if (hls) await page.addInitScript('delete globalThis.RTCPeerConnection')
      await prepare?.(page)
    })
    const viewer = new GuidedVisit(visit, told, refused, streams, whep)
    await viewer.plays(hls ? 'LL-HLS' : 'WebRTC')
    return viewer
  }

  get page(): Page {
    return this.visit.page
  }

  async plays(protocol: 'WebRTC' | 'LL-HLS'): Promise<void> {
    await this.visit.reaches('playing', PATIENCE_MS)
    await eventually(`it plays over ${protocol}`, PATIENCE_MS, async () =>
      (await this.page.textContent('[data-testid=route]'))?.startsWith(protocol),
    )
  }

  get overlay() {
    return this.page.locator('[data-testid=overlay].on')
  }

  async comes(): Promise<void> {
    await this.overlay.waitFor({ state: 'visible', timeout: PATIENCE_MS })
  }

  async goes(): Promise<void> {
    await eventually('the overlay has gone', PATIENCE_MS, async () => !(await this.overlay.count()))
  }

  /** Waits until the server has taken something that the page told. */
  async tells(what: string): Promise<void> {
    const { told, refused } = this
    const failure = () => `${what} is told; so far was [${told.join(' ')}], and refused was [${refused.join(' ')}]`
    await eventually(failure, PATIENCE_MS, async () => told.includes(what))
  }

  /** Whether the middle of the picture's lower edge has this colour. */
  hasBurnedIn(colour: readonly [number, number, number]): Promise<boolean> {
    return this.page.evaluate((colour) => {
      const video = document.querySelector('video')!
      const context = Object.assign(document.createElement('canvas'), { width: 1, height: 1 }).getContext('2d')!
      context.drawImage(video, video.videoWidth / 2, video.videoHeight * 0.9, 1, 1, 0, 0, 1, 1)
      const pixel = context.getImageData(0, 0, 1, 1).data
      return colour.every((value, index) => Math.abs(value - pixel[index]!) < 30)
    }, colour)
  }

  /** The server ends the page's WebRTC session. */
  async endSession(): Promise<void> {
    const { location } = this.#whep
    assert.ok(location, 'it has a session')
    const { status } = await fetch(new URL(location, this.page.url()), { method: 'DELETE' })
    assert.equal(status, 200)
  }

  /** From now on notes of each frame its number, and whether an overlay is painted along with it. */
  async record(code: Code): Promise<void> {
    await this.page.evaluate(({ left, pitch, top }) => {
      const frames: Frame[] = []
      Object.assign(globalThis, { frames })
      const video = document.querySelector('video')!
      const canvas = Object.assign(document.createElement('canvas'), { width: 0, height: 1 })
      const context = canvas.getContext('2d', { willReadFrequently: true })!
      const step = () => {
        video.requestVideoFrameCallback(step)
        const { videoWidth: width, videoHeight: height } = video
        if (canvas.width !== width) canvas.width = width
        context.drawImage(video, 0, Math.round(top * height), width, 1, 0, 0, width, 1)
        const { data } = context.getImageData(0, 0, width, 1)
        let number = 0
        for (let bit = 0; bit < 16; bit += 1) {
          number = number * 2 + (data[Math.round((left + bit * pitch) * width) * 4]! > 127 ? 1 : 0)
        }
        // After everything else that is done for this frame, and before it is painted.
        requestAnimationFrame(() => {
          frames.push({ code: number, on: document.querySelector('[data-testid=overlay].on') !== null, at: Date.now() })
        })
      }
      video.requestVideoFrameCallback(step)
    }, code)
  }

  recorded(): Promise<Frame[]> {
    return this.page.evaluate(() => (globalThis as unknown as { frames: Frame[] }).frames)
  }

  async close(): Promise<void> {
    const [display, viewable] = ['display', 'viewable'].map((what) => this.told.indexOf(what))
    assert.deepEqual(this.refused, [], 'what was seen counts')
    assert.ok(viewable === -1 || (display !== -1 && display! < viewable!), `viewable before display: ${this.told.join(' ')}`)
    await this.visit.close()
  }
}
