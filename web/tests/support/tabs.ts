/**
 * Tabs as people have them: of a window's tabs one can be seen. What Playwright opens is kept visible, whatever is in front of it; these
 * tabs are spoken to past it, over the browser's own protocol.
 */

import type { Browser, CDPSession } from 'playwright-core'

interface Reply {
  id: number
  result?: unknown
  error?: { message: string }
}

/** The tabs of a browser's own window. */
export class Tabs {
  readonly #browser: CDPSession
  readonly #waiting = new Map<number, (reply: Reply) => void>()
  readonly #open: string[] = []
  #last = 0

  private constructor(browser: CDPSession) {
    this.#browser = browser
    browser.on('Target.receivedMessageFromTarget', ({ message }) => {
      const reply = JSON.parse(message) as Reply
      this.#waiting.get(reply.id)?.(reply)
      this.#waiting.delete(reply.id)
    })
  }

  static async of(browser: Browser): Promise<Tabs> {
    return new Tabs(await browser.newBrowserCDPSession())
  }

  /** A new tab, in front of the others. */
  async open(url: string, userAgent: string): Promise<Tab> {
    const { targetId } = await this.#browser.send('Target.createTarget', { url: 'about:blank' })
    this.#open.push(targetId)
    const { sessionId } = await this.#browser.send('Target.attachToTarget', { targetId, flatten: false })
    const tab = new Tab((method, parameters) => this.#send(sessionId, method, parameters), () => this.#show(targetId))
    await tab.visit(url, userAgent)
    return tab
  }

  async close(): Promise<void> {
    for (const targetId of this.#open) await this.#browser.send('Target.closeTarget', { targetId })
    await this.#browser.detach()
  }

  async #show(targetId: string): Promise<void> {
    await this.#browser.send('Target.activateTarget', { targetId })
  }

  async #send(sessionId: string, method: string, params: object): Promise<unknown> {
    const id = (this.#last += 1)
    const reply = new Promise<Reply>((resolve) => this.#waiting.set(id, resolve))
    await this.#browser.send('Target.sendMessageToTarget', { sessionId, message: JSON.stringify({ id, method, params }) })
    const { result, error } = await reply
    if (error) throw new Error(`${method}: ${error.message}`)
    return result
  }
}

export class Tab {
  readonly #send: (method: string, parameters: object) => Promise<unknown>
  /** Puts it in front of the others. */
  readonly show: () => Promise<void>

  constructor(send: (method: string, parameters: object) => Promise<unknown>, show: () => Promise<void>) {
    this.#send = send
    this.show = show
  }

  async visit(url: string, userAgent: string): Promise<void> {
    await this.#send('Emulation.setUserAgentOverride', { userAgent })
    await this.#send('Page.navigate', { url })
  }

  /** The value of an expression in the page. */
  async evaluate<T>(expression: string): Promise<T> {
    const answer = await this.#send('Runtime.evaluate', { expression, returnByValue: true })
    const { result, exceptionDetails } = answer as { result: { value: T }; exceptionDetails?: { text: string } }
    if (exceptionDetails) throw new Error(`${expression}: ${exceptionDetails.text}`)
    return result.value
  }
}
