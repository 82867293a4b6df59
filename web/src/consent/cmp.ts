/** A CMP of one framework: found in this page or in one that embeds it, and listened to. */

import { callMessage, fieldsOf, returnOf, type CmpFunction, type Framework } from './framework.ts'
import type { Word } from './word.ts'

/** Nobody embeds pages so deep. */
const MOST_ANCESTORS = 16
/** A choice takes ten events or so; who tells more often than a viewer can choose is not to be believed. */
const MOST_ANSWERS = 1000

export class Cmp {
  readonly #framework: Framework
  readonly #page: Window
  readonly #heard: () => void
  readonly #calls = new Set<string>()
  /** The page that was asked, of those around this one. */
  #above: Window | null = null
  #isAsked = false
  #word: Word | null = null
  #answers = 0

  /** @param page this one. @param heard it has answered: `word` may be another. */
  constructor(framework: Framework, page: Window, heard: () => void) {
    this.#framework = framework
    this.#page = page
    this.#heard = heard
  }

  /** What it has said last; null before it has said anything. */
  get word(): Word | null {
    return this.#word
  }

  /** It was asked and has not said anything yet. */
  get isPending(): boolean {
    return this.#isAsked && this.#word === null
  }

  /** Asks, unless that has been done: whether there is one. */
  ask(): boolean {
    if (this.#isAsked) return true
    const here: unknown = (this.#page as unknown as Record<string, unknown>)[this.#framework.api]
    if (typeof here === 'function') {
      this.#isAsked = true
      this.#call(here.bind(this.#page) as CmpFunction)
      return true
    }
    const above = ancestorWith(this.#page, this.#framework.locator)
    if (!above) return false
    this.#isAsked = true
    this.#send(above)
    return true
  }

  stop(): void {
    this.#answers = MOST_ANSWERS
    this.#page.removeEventListener('message', this.#receive)
  }

  #call(api: CmpFunction): void {
    const { commands, call } = this.#framework
    try {
      for (const command of commands) call(api, command, (value, success) => this.#take(value, success))
    } catch (error) {
      // Somebody else's code; the picture does not depend on it.
      console.info(`onair: the CMP failed: ${String(error)}`)
    }
  }

  #send(above: Window): void {
    this.#above = above
    this.#page.addEventListener('message', this.#receive)
    for (const command of this.#framework.commands) {
      const callId = `onair-${Math.random()}`
      this.#calls.add(callId)
      // Nobody knows the origin of that page beforehand, and there is nothing to be kept from it.
      above.postMessage(callMessage(this.#framework, command, callId), '*')
    }
  }

  readonly #receive = ({ source, data }: MessageEvent): void => {
    if (source !== this.#above) return
    const back = returnOf(this.#framework, data)
    if (back && this.#calls.has(back.callId)) this.#take(back.returnValue, back.success)
  }

  #take(returnValue: unknown, success: unknown): void {
    if (this.#answers >= MOST_ANSWERS) return
    this.#answers += 1
    const isLast = this.#answers === MOST_ANSWERS
    // The next one might have taken back what this one says.
    const word = isLast ? 'refused' : success === true ? this.#framework.read(returnValue) : null
    if (isLast) this.stop()
    if (word === null) return
    this.#word = word
    this.#heard()
  }
}

/** The nearest page above that has a frame of this name. */
function ancestorWith(page: Window, locator: string): Window | null {
  let frame = page
  for (let depth = 0; depth < MOST_ANCESTORS && frame.parent !== frame; depth += 1) {
    frame = frame.parent
    try {
      if (fieldsOf(frame.frames)?.[locator]) return frame
    } catch {
      // A page of another origin that has no such frame does not even say so.
    }
  }
  return null
}
