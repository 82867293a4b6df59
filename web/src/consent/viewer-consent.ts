/**
 * Whether a viewer has agreed to be spoken of as more than an audience of this channel: by the word of whoever embeds the page, else
 * by that of the CMP there. Nobody is asked by the page itself.
 */

import { Cmp } from './cmp.ts'
import { GPP } from './gpp.ts'
import { TCF } from './tcf.ts'
import { embeddersWord, isConsent } from './word.ts'

/** A CMP that has the answer gives it at once; the picture waits for it no longer than this, ms. */
const PATIENCE_MS = 500
/** A CMP may be loaded after the pages in its page: it is looked for again after so many ms each time. */
const LOOK_AGAIN_MS = [250, 500, 1000, 2000, 4000, 8000] as const

export class ViewerConsent {
  /** Settled once it is known, or is not waited for any longer. It may change later. */
  readonly known: Promise<void>
  readonly #changed: () => void
  readonly #cmps: readonly Cmp[]
  #settle: () => void = () => {}
  #given: boolean
  #patience: ReturnType<typeof setTimeout> | undefined
  #looking: ReturnType<typeof setTimeout> | undefined

  /** @param page with the embedder's word in its address. @param changed `given` is not what it was. */
  constructor(page: Window, changed: () => void) {
    this.#changed = changed
    this.known = new Promise((resolve) => (this.#settle = resolve))
    const word = embeddersWord(page.location.search)
    // Set in a browser, it speaks to every site, and whatever a site may have been told otherwise.
    const isOutEverywhere = (page.navigator as Navigator & { globalPrivacyControl?: unknown }).globalPrivacyControl === true
    this.#given = word === 'given' && !isOutEverywhere
    const isDecided = word !== 'silent' || isOutEverywhere
    this.#cmps = isDecided ? [] : [TCF, GPP].map((framework) => new Cmp(framework, page, () => this.#heard()))
  }

  get given(): boolean {
    return this.#given
  }

  start(): void {
    this.#look(0)
    // One that is not there yet is not waited for: there may be none.
    if (this.#isPending) this.#patience = setTimeout(this.#settle, PATIENCE_MS)
    else this.#settle()
  }

  stop(): void {
    for (const timer of [this.#patience, this.#looking]) clearTimeout(timer)
    for (const cmp of this.#cmps) cmp.stop()
  }

  #look(times: number): void {
    const isAllThere = this.#cmps.map((cmp) => cmp.ask()).every((isThere) => isThere)
    const wait = LOOK_AGAIN_MS[times]
    if (isAllThere || wait === undefined) return
    this.#looking = setTimeout(() => this.#look(times + 1), wait)
  }

  get #isPending(): boolean {
    return this.#cmps.some((cmp) => cmp.isPending)
  }

  #heard(): void {
    const given = isConsent(this.#cmps.map((cmp) => cmp.word ?? 'silent'))
    if (!this.#isPending) this.#settle()
    if (given === this.#given) return
    this.#given = given
    this.#changed()
  }
}
