/** A site that embeds the watch page, with CMPs of the test's own: small, and as the specifications write them. */

import { createServer, type Server as HttpServer } from 'node:http'
import type { AddressInfo } from 'node:net'

import type { Browser, BrowserContext, Frame, Page } from 'playwright-core'

import { DESKTOP } from './browser.ts'
import { PATIENCE_MS } from './guided.ts'
import { eventually } from './server.ts'

/** What the server was asked with, of the viewer. */
export interface Asked {
  consent: string | null
  session: string | null
  /** Unix ms. */
  at: number
}

interface Options {
  /** What the TCF's CMP knows from the start; without it a stub that only queues what it is asked. */
  tcf?: object | 'stub'
  /** The same for the GPP's. */
  gpp?: object
  /** The page is in a frame of another origin's in a frame. */
  nested?: boolean
  /** Added to the page's address. */
  query?: string
  prepare?: (page: Page) => Promise<unknown>
}

/** What a message asks of a CMP goes to its function, and what that calls back with goes down. CMP API 2 and 1.1 differ in the order. */
const CMP = `
globalThis.cmp = { asked: [] }
globalThis.serve = (api, callKey, returnKey, locator, call) => {
  addEventListener('message', ({ data, source }) => {
    const isText = typeof data === 'string'
    let message = null
    try { message = isText ? JSON.parse(data) : data } catch {}
    if (!message || typeof message !== 'object' || !(callKey in message)) return
    const { callId, ...rest } = message[callKey]
    cmp.asked.push({ api, command: rest.command, at: Date.now() })
    call(rest, (returnValue, success) => {
      const back = { [returnKey]: { returnValue, success, callId } }
      source.postMessage(isText ? JSON.stringify(back) : back, '*')
    })
  })
  document.body.append(Object.assign(document.createElement('iframe'), { name: locator, hidden: true }))
}
`

const TCF_CMP = `
{
  const listeners = new Map()
  let known = KNOWN
  cmp.tcf = (next) => {
    known = next
    for (const [listenerId, callback] of listeners) callback({ ...known, listenerId }, true)
  }
  globalThis.__tcfapi = (command, version, callback) => {
    if (command !== 'addEventListener' || version !== 2) return callback(null, false)
    const listenerId = listeners.size + 1
    listeners.set(listenerId, callback)
    // Until it is known whether the GDPR applies, nobody is called back.
    if (known) callback({ ...known, listenerId }, true)
  }
  serve('__tcfapi', '__tcfapiCall', '__tcfapiReturn', '__tcfapiLocator',
    ({ command, version, parameter }, callback) => __tcfapi(command, version, callback, parameter))
}
`

const GPP_CMP = `
{
  const listeners = new Map()
  let pingData = KNOWN
  cmp.gpp = (eventName, data, next) => {
    pingData = { ...pingData, ...next }
    for (const [listenerId, callback] of listeners) callback({ eventName, listenerId, data, pingData }, true)
  }
  globalThis.__gpp = (command, callback) => {
    if (command === 'ping') return callback(pingData, true)
    if (command !== 'addEventListener') return callback(null, false)
    const listenerId = listeners.size + 1
    listeners.set(listenerId, callback)
    callback({ eventName: 'listenerRegistered', listenerId, data: true, pingData }, true)
  }
  serve('__gpp', '__gppCall', '__gppReturn', '__gppLocator',
    ({ command, parameter, version }, callback) => __gpp(command, callback, parameter, version))
}
`

export class Embedder {
  readonly #pages = new Map<string, string>()
  readonly #server: HttpServer

  private constructor(server: HttpServer) {
    this.#server = server
    server.on('request', ({ url = '' }, response) => {
      const page = this.#pages.get(url)
      response.writeHead(page === undefined ? 404 : 200, { 'content-type': 'text/html; charset=utf-8' })
      response.end(page)
    })
  }

  static async start(): Promise<Embedder> {
    const server = createServer()
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    return new Embedder(server)
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections()
    await new Promise((resolve) => this.#server.close(resolve))
  }

  /** Opens a page of this site that embeds a channel's. */
  async open(browser: Browser, watch: string, { tcf, gpp, nested = false, query = '', prepare }: Options): Promise<EmbeddedVisit> {
    const { port } = this.#server.address() as AddressInfo
    const frame = (source: string) => `<iframe src="${source}" width="1200" height="800" allow="autoplay"></iframe>`
    const put = (html: string) => {
      const path = `/${this.#pages.size}`
      this.#pages.set(path, `<!doctype html><title>A site</title><body>${html}</body>`)
      return path
    }
    const known = (value: object | 'stub') => (value === 'stub' ? 'null' : JSON.stringify(value))
    const cmps = [tcf && TCF_CMP.replace('KNOWN', () => known(tcf)), gpp && GPP_CMP.replace('KNOWN', () => known(gpp))]
    const script = `<script>${[CMP, ...cmps].filter(Boolean).join('')}</script>`
    const inner = frame(watch + query)
    const path = put(script + (nested ? frame(`http://localhost:${port}${put(inner)}`) : inner))
    const context = await browser.newContext(DESKTOP)
    const page = await context.newPage()
    const visit = new EmbeddedVisit(context, page, new URL(watch))
    await prepare?.(page)
    await page.goto(`http://127.0.0.1:${port}${path}`)
    return visit
  }
}

export class EmbeddedVisit {
  readonly page: Page
  /** What `/events` and WHEP were asked with. */
  readonly events: Asked[] = []
  readonly streams: Asked[] = []
  readonly #context: BrowserContext
  readonly #watch: URL
  /** The WebRTC session that was made last. */
  #whep: string | null = null

  constructor(context: BrowserContext, page: Page, watch: URL) {
    this.#context = context
    this.page = page
    this.#watch = watch
    page.on('request', (request) => {
      const { pathname, searchParams } = new URL(request.url())
      const into = pathname === `/events${watch.pathname}` ? this.events : pathname === `/whep${watch.pathname}` ? this.streams : null
      into?.push({ consent: searchParams.get('consent'), session: searchParams.get('session'), at: Date.now() })
    })
    page.on('response', (response) => {
      if (new URL(response.url()).pathname === `/whep${watch.pathname}`) this.#whep = response.headers()['location'] ?? null
    })
  }

  async close(): Promise<void> {
    await this.#context.close()
  }

  /** The calls that the CMPs have had. */
  asked(): Promise<{ api: string; command: string; at: number }[]> {
    return this.page.evaluate('cmp.asked')
  }

  async plays(): Promise<void> {
    const frame = await eventually('the page is embedded', PATIENCE_MS, async () => this.#frame())
    await frame.waitForSelector('[data-phase=playing]', { timeout: PATIENCE_MS })
  }

  /** The words on consent that `/events` was asked with, once there are so many. */
  async told(count: number): Promise<(string | null)[]> {
    await eventually(`${count} words are told; so far ${JSON.stringify(this.events)}`, PATIENCE_MS, async () => this.events.length >= count)
    return this.events.map(({ consent }) => consent)
  }

  /** The server ends the page's WebRTC session, so that another is made. */
  async endSession(): Promise<void> {
    await fetch(new URL(this.#whep ?? '', this.#watch), { method: 'DELETE' })
  }

  #frame(): Frame | undefined {
    return this.page.frames().find((frame) => frame.url().startsWith(this.#watch.href))
  }
}
