/** Debian's Chromium, and what a test wants to know of a page in it. */

import { mkdirSync, mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { chromium, type Browser, type BrowserContext, type Page } from 'playwright-core'

import { eventually } from './server.ts'

/** Where pictures of the pages go, to be looked at. */
export const screenshots = process.env.ONAIR_SCREENSHOTS ?? mkdtempSync(join(tmpdir(), 'onair-screenshots-'))
mkdirSync(screenshots, { recursive: true })

/** What people watch with. A browser that says that it has no head is taken for one without a person: what it tells of ads is refused. */
export const PHONE = {
  viewport: { width: 390, height: 844 },
  deviceScaleFactor: 2,
  hasTouch: true,
  isMobile: true,
  userAgent: 'Mozilla/5.0 (Linux; Android 14) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Mobile Safari/537.36',
}
export const DESKTOP = {
  viewport: { width: 1440, height: 900 },
  userAgent: 'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36',
}

export function launch(): Promise<Browser> {
  return chromium.launch({
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    args: [
      '--headless',
      '--no-sandbox',
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
      // Instead of cameras pictures that move, instead of a microphone beeps; and nobody is asked.
      '--use-fake-ui-for-media-stream',
      '--use-fake-device-for-media-stream=device-count=3',
      '--allow-loopback-in-peer-connection',
    ],
  })
}

/** A page of the server's origin with nothing of ours in it, for tests that speak to the server themselves. */
export async function barePage(browser: Browser, url: string): Promise<Page> {
  const page = await browser.newPage()
  await page.goto(`${url}/api/v1/server`)
  await page.evaluate('globalThis.__name = (value) => value')
  return page
}

/** A page that remembers everything that went wrong in it. */
export class Visit {
  readonly page: Page
  /** Console errors, uncaught exceptions and violations of the Content-Security-Policy. */
  readonly complaints: string[] = []
  readonly #context: BrowserContext

  private constructor(context: BrowserContext, page: Page) {
    this.#context = context
    this.page = page
    page.on('console', (message) => {
      if (message.type() === 'error' || message.type() === 'warning') this.complaints.push(message.text())
    })
    page.on('pageerror', (error) => this.complaints.push(`uncaught: ${error.message}`))
  }

  static async open(
    browser: Browser,
    url: string,
    options: Parameters<Browser['newContext']>[0] = DESKTOP,
    prepare?: (page: Page) => Promise<unknown>,
  ): Promise<Visit> {
    const context = await browser.newContext(options)
    const page = await context.newPage()
    const visit = new Visit(context, page)
    await page.exposeFunction('reportViolation', (text: string) => visit.complaints.push(text))
    await page.addInitScript(`
      // The test runner's compiler wraps named functions in this helper.
      globalThis.__name = (value) => value
      globalThis.connections = []
      globalThis.RTCPeerConnection &&= class extends RTCPeerConnection {
        constructor(...settings) {
          super(...settings)
          connections.push(this)
        }
      }
      document.addEventListener('securitypolicyviolation', (event) =>
        reportViolation('policy: ' + event.violatedDirective + ' ' + event.blockedURI + ' ' + event.sample))
    `)
    await prepare?.(page)
    await page.goto(url)
    return visit
  }

  async close(): Promise<void> {
    await this.#context.close()
  }

  /** Which of its phases the watch page is in. */
  phase(): Promise<string | null> {
    return this.page.evaluate(() => document.querySelector<HTMLElement>('[data-phase]')?.dataset.phase ?? null)
  }

  async reaches(phase: string, timeout: number): Promise<void> {
    try {
      await eventually(`phase ${phase}`, timeout, async () => (await this.phase()) === phase)
    } catch (error) {
      const complaints = [...new Set(this.complaints)].slice(0, 5).join(' | ')
      const state = `it is ${await this.phase()}: ${await this.#position()}; the page complained: ${complaints || 'nothing'}`
      throw new Error(`${String(error)}; ${state}`)
    }
  }

  /** Where the video stands, for the words of a failure. */
  #position(): Promise<string> {
    return this.page.evaluate(() => {
      const { buffered, currentTime, readyState, paused } = document.querySelector('video')!
      const ranges = Array.from({ length: buffered.length }, (_, index) => `${buffered.start(index)}–${buffered.end(index)}`)
      return `at ${currentTime} of ${ranges.join(', ') || 'nothing'}, state ${readyState}${paused ? ', paused' : ''}`
    })
  }

  /** The statistics of the page's latest WebRTC connection; none before there is one. */
  async rtcStats(): Promise<Record<string, unknown>[]> {
    return this.page.evaluate(async () => {
      const connection = (globalThis as { connections?: RTCPeerConnection[] }).connections?.at(-1)
      const entries: Record<string, unknown>[] = []
      if (connection) (await connection.getStats()).forEach((entry: Record<string, unknown>) => entries.push(entry))
      return entries
    })
  }

  /** Counts frames that are presented in so many ms. */
  framesIn(milliseconds: number): Promise<number> {
    return this.page.evaluate(async (duration) => {
      const video = document.querySelector('video')!
      let frames = 0
      const step = () => {
        frames += 1
        video.requestVideoFrameCallback(step)
      }
      video.requestVideoFrameCallback(step)
      await new Promise((resolve) => setTimeout(resolve, duration))
      return frames
    }, milliseconds)
  }

  /** The latency that the page shows, in seconds; null while it shows none. */
  shownLatency(): Promise<number | null> {
    return this.page.evaluate(() => {
      const text = document.querySelector<HTMLElement>('[data-testid=latency]')?.dataset.seconds
      return text === undefined ? null : Number(text)
    })
  }

  /**
   * From the broadcaster's picture to this screen, in seconds: the demo picture carries the number of its frame within
   * the minute as sixteen black or white blocks.
   */
  measuredLatency(): Promise<number> {
    return this.page.evaluate(async () => {
      const [left, middle, pitch, size, rate] = [120, 687, 30, 22, 30]
      const video = document.querySelector('video')!
      const canvas = document.createElement('canvas')
      canvas.width = 16 * pitch
      canvas.height = 1
      const context = canvas.getContext('2d', { willReadFrequently: true })!
      const latencies: number[] = []
      while (latencies.length < 15) {
        await new Promise((resolve) => video.requestVideoFrameCallback(resolve))
        const minute = (Date.now() / 1000) % 60
        context.drawImage(video, left, middle, canvas.width, 1, 0, 0, canvas.width, 1)
        const row = context.getImageData(0, 0, canvas.width, 1).data
        let frame = 0
        for (let bit = 0; bit < 16; bit += 1) frame = frame * 2 + (row[(bit * pitch + size / 2) * 4]! > 127 ? 1 : 0)
        latencies.push((minute - frame / rate + 60) % 60)
      }
      return latencies.sort((a, b) => a - b)[7]!
    })
  }

  async screenshot(name: string): Promise<void> {
    await this.page.screenshot({ path: join(screenshots, `${name}.png`) })
  }
}
