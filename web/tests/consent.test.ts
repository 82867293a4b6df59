/** Consent: what CMPs' answers mean, whom of several words it follows, and that nothing else in the browser is believed. */

import assert from 'node:assert/strict'
import { mock, test, type TestContext } from 'node:test'

import { Cmp } from '../src/consent/cmp.ts'
import { returnOf } from '../src/consent/framework.ts'
import { GPP, wordOfGpp } from '../src/consent/gpp.ts'
import { TCF, wordOfTcData } from '../src/consent/tcf.ts'
import { ViewerConsent } from '../src/consent/viewer-consent.ts'
import { embeddersWord, isConsent } from '../src/consent/word.ts'

const AGREED = { 1: true, 3: true, 4: true }
/** What makes no sense wherever it stands. */
const NONSENSE = [undefined, null, 0, 7, '', 'true', true, [], {}, [[]], () => true, { purpose: 1 }, { pingData: [] }, Number.NaN]

function tcData(changes: object = {}): Record<string, unknown> {
  const purpose = { consents: AGREED, legitimateInterests: {} }
  return { gdprApplies: true, eventStatus: 'tcloaded', isServiceSpecific: true, listenerId: 1, purpose, ...changes }
}

function ping(applicableSections: unknown, parsedSections: unknown, changes: object = {}): Record<string, unknown> {
  return { gppVersion: '1.1', cmpStatus: 'loaded', signalStatus: 'ready', applicableSections, parsedSections, ...changes }
}

test('the TCF’s answer is consent where no law asks for one, or where its three purposes are agreed to', () => {
  assert.equal(wordOfTcData({ gdprApplies: false, cmpId: 1, cmpVersion: 2, tcfPolicyVersion: 5 }), 'given')
  assert.equal(wordOfTcData(tcData()), 'given')
  assert.equal(wordOfTcData(tcData({ eventStatus: 'useractioncomplete' })), 'given')
  for (const purpose of [1, 3, 4]) {
    for (const not of [false, undefined]) {
      const consents = { ...AGREED, 2: true, [purpose]: not }
      assert.equal(wordOfTcData(tcData({ purpose: { consents } })), 'refused', `purpose ${purpose}: ${not}`)
    }
  }
  assert.equal(wordOfTcData(tcData({ isServiceSpecific: false })), 'refused', 'for all sites at once')
})

test('while the TCF is not settled nothing changes', () => {
  for (const eventStatus of ['cmpuishown', 'stub', '', undefined, true, ['tcloaded']]) {
    assert.equal(wordOfTcData(tcData({ eventStatus })), null, String(eventStatus))
  }
  for (const gdprApplies of [undefined, null, 0, 'false', 1]) {
    assert.equal(wordOfTcData(tcData({ gdprApplies })), null, String(gdprApplies))
  }
})

test('what a TCF answer has in the wrong form is no consent', () => {
  for (const nonsense of NONSENSE) {
    assert.equal(wordOfTcData(nonsense), null, String(nonsense))
    assert.equal(wordOfTcData(tcData({ purpose: nonsense })), 'refused', String(nonsense))
    assert.equal(wordOfTcData(tcData({ purpose: { consents: nonsense } })), 'refused', String(nonsense))
  }
  const odd = [{ 1: 1, 3: 1, 4: 1 }, { 1: 'true', 3: 'true', 4: 'true' }, [true, true, true, true, true], '1111']
  for (const consents of odd) assert.equal(wordOfTcData(tcData({ purpose: { consents } })), 'refused', JSON.stringify(consents))
})

test('in the United States whoever was asked and has not opted out has agreed', () => {
  const stay = { SaleOptOut: 2, SharingOptOut: 2, TargetedAdvertisingOptOut: 2 }
  const states = { usnat: 7, usca: 8, usva: 9, usco: 10, usut: 11, usct: 12, ustx: 16, usri: 27 }
  for (const [name, id] of Object.entries(states)) {
    const word = (core: object, ...more: object[]) => wordOfGpp(ping([id], { [name]: [core, ...more] }))
    assert.equal(word(stay), 'given', name)
    for (const optOut of Object.keys(stay)) assert.equal(word({ ...stay, [optOut]: 1 }), 'refused', `${name} ${optOut}`)
    assert.equal(word(stay, { SubsectionType: 1, Gpc: true }), 'refused', name)
    assert.equal(word(stay, { SubsectionType: 1, Gpc: false }), 'given', name)
    assert.equal(word({ SaleOptOut: 0, SharingOptOut: 0, TargetedAdvertisingOptOut: 0 }), 'silent', 'nobody has asked')
    assert.equal(wordOfGpp(ping([id], { [name]: { ...stay, Gpc: false } })), 'given', 'all fields in one object')
    assert.equal(wordOfGpp(ping([id], { [name]: { ...stay, Gpc: true } })), 'refused', 'all fields in one object')
  }
})

test('the European section is read as the TCF, whichever way it lists purposes', () => {
  const word = (core: unknown) => wordOfGpp(ping([2], { tcfeuv2: [core, { SegmentType: 1 }] }))
  assert.equal(word({ PurposeConsent: [1, 2, 3, 4] }), 'given')
  assert.equal(word({ PurposeConsents: [true, false, true, true, false] }), 'given')
  assert.equal(wordOfGpp(ping([2], { tcfeuv2: { PurposeConsents: [true, true, true, true] } })), 'given')
  for (const agreed of [[], [1, 3], [true, true, true], [false, true, true, true], [1, 0, 1, 1], ['1', '3', '4']]) {
    assert.equal(word({ PurposeConsent: agreed }), 'refused', JSON.stringify(agreed))
  }
  assert.equal(word({ PurposeConsent: [1, 3, 4], IsServiceSpecific: false }), 'refused')
  for (const core of [{}, { PurposeConsent: '134' }, { PurposeConsent: AGREED }, null]) assert.equal(word(core), 'silent')
})

test('of several sections one refusal is enough, and one that cannot be read is no consent', () => {
  const [stay, leave] = [[{ SaleOptOut: 2 }], [{ SaleOptOut: 1 }]]
  assert.equal(wordOfGpp(ping([7, 8], { usnat: stay, usca: stay })), 'given')
  assert.equal(wordOfGpp(ping([7, 8], { usnat: stay, usca: leave })), 'refused')
  assert.equal(wordOfGpp(ping([8], { usnat: leave, usca: stay })), 'given', 'the other is not in force')
  assert.equal(wordOfGpp(ping([7, 5], { usnat: stay, tcfcav1: [{ PurposesExpressConsent: [1, 3, 4] }] })), 'silent')
  assert.equal(wordOfGpp(ping([7, 99], { usnat: stay })), 'silent')
  assert.equal(wordOfGpp(ping([7, 99], { usnat: leave })), 'refused')
  for (const none of [[-1], [0], []]) assert.equal(wordOfGpp(ping(none, { usnat: stay })), 'silent', 'no section applies')
})

test('while a GPP is not ready, or makes no sense, nothing changes', () => {
  const sections = { usnat: [{ SaleOptOut: 2 }] }
  for (const signalStatus of ['not ready', undefined, true, 'Ready']) {
    assert.equal(wordOfGpp(ping([7], sections, { signalStatus })), null, String(signalStatus))
  }
  const event = { eventName: 'sectionChange', data: 'usnat', pingData: ping([7], sections, { signalStatus: 'not ready' }) }
  assert.equal(wordOfGpp(event), null)
  assert.equal(wordOfGpp({ ...event, pingData: ping([7], sections) }), 'given')
  for (const nonsense of NONSENSE) {
    assert.equal(wordOfGpp(nonsense), null, String(nonsense))
    if (!Array.isArray(nonsense)) assert.equal(wordOfGpp(ping(nonsense, sections)), null, String(nonsense))
    assert.notEqual(wordOfGpp(ping([7], nonsense)), 'given', String(nonsense))
    assert.notEqual(wordOfGpp(ping([7], { usnat: nonsense })), 'given', String(nonsense))
  }
  for (const odd of [['7'], [7.5], [null], [7, {}], Array<number>(1000).fill(7)]) assert.equal(wordOfGpp(ping(odd, sections)), null)
  for (const id of [1e9, 28, 6, 5, 4, 3, 1]) assert.equal(wordOfGpp(ping([id], sections)), 'silent', String(id))
  assert.equal(wordOfGpp(ping([7], { usnat: [...Array<object>(1000).fill({}), { SaleOptOut: 2 }] })), 'silent', 'so many segments')
})

test('messages that are no returns are left alone', () => {
  const back = { returnValue: tcData(), success: true, callId: 'a' }
  assert.equal(returnOf(TCF, { __tcfapiReturn: back })?.callId, 'a')
  assert.deepEqual(returnOf(TCF, JSON.stringify({ __tcfapiReturn: back })), { ...back })
  assert.equal(returnOf(GPP, { __tcfapiReturn: back }), null)
  for (const nonsense of [...NONSENSE, 7, '{', '__tcfapiReturn', '{"__tcfapiReturn":', '"__tcfapiReturn"']) {
    assert.equal(returnOf(TCF, nonsense), null, String(nonsense))
    assert.equal(returnOf(TCF, { __tcfapiReturn: nonsense }), null, String(nonsense))
  }
  for (const callId of [undefined, 7, null, {}]) assert.equal(returnOf(TCF, { __tcfapiReturn: { ...back, callId } }), null)
  const long = JSON.stringify({ __tcfapiReturn: back, fill: 'x'.repeat(300_000) })
  assert.equal(returnOf(TCF, long), null, 'longer than any')
})

test('one refusal outweighs every consent, and the address says one of two words or none', () => {
  assert.ok(isConsent(['given']) && isConsent(['silent', 'given']))
  assert.ok(!isConsent([]) && !isConsent(['silent']) && !isConsent(['given', 'refused']) && !isConsent(['refused', 'silent']))
  assert.deepEqual(['?consent=1', '?tags=tea&consent=0', '?consent=yes', '?consent=', ''].map(embeddersWord), [
    'given', 'refused', 'silent', 'silent', 'silent',
  ])
})

type Call = { command: string; version: unknown; callId: string }

/** A window as far as consent goes. */
class Page {
  readonly frames: Record<string, unknown> = {}
  /** Calls that were made to it, by their keys. */
  readonly calls: Record<string, Call>[] = []
  readonly navigator: { globalPrivacyControl?: unknown } = {}
  readonly location: { search: string }
  readonly parent: Page
  readonly #listeners = new Set<(event: MessageEvent) => void>()

  constructor(above: Page | null = null, search = '') {
    this.parent = above ?? this
    this.location = { search }
  }

  get window(): Window {
    return this as unknown as Window
  }

  get listeners(): number {
    return this.#listeners.size
  }

  postMessage(message: Record<string, Call>): void {
    this.calls.push(message)
  }

  addEventListener(_: string, listener: (event: MessageEvent) => void): void {
    this.#listeners.add(listener)
  }

  removeEventListener(_: string, listener: (event: MessageEvent) => void): void {
    this.#listeners.delete(listener)
  }

  receive(source: Page, data: unknown): void {
    for (const listener of [...this.#listeners]) listener({ source, data } as unknown as MessageEvent)
  }

  /** Answers what was called under a key, to a page below. */
  answer(page: Page, framework: typeof TCF, returnValue: unknown, success: unknown = true): void {
    const call = this.calls.findLast((message) => framework.callKey in message)?.[framework.callKey]
    page.receive(this, { [framework.returnKey]: { returnValue, success, callId: call?.callId } })
  }
}

/** A page in two others, the outer of which has CMPs; the one between is of another origin and gives nothing away. */
function embedded(search = '', frameworks = [TCF]): { top: Page; page: Page } {
  const top = new Page()
  for (const { locator } of frameworks) top.frames[locator] = {}
  const between = new Page(top)
  Object.defineProperty(between, 'frames', { value: new Proxy({}, { get: () => { throw new DOMException('no', 'SecurityError') } }) })
  return { top, page: new Page(between, search) }
}

test('a CMP is found through its locator frame, asked as the specification has it, and believed alone', () => {
  const { top, page } = embedded()
  let heard = 0
  const cmp = new Cmp(TCF, page.window, () => (heard += 1))
  assert.ok(cmp.ask() && cmp.ask())
  assert.equal(top.calls.length, 1, 'it is asked once')
  const { __tcfapiCall: call } = top.calls[0]!
  assert.deepEqual({ ...call, callId: null }, { command: 'addEventListener', parameter: null, version: 2, callId: null })
  const back = { returnValue: tcData(), success: true, callId: call!.callId }
  page.receive(new Page(), { __tcfapiReturn: back })
  page.receive(page, { __tcfapiReturn: back })
  page.receive(top, { __tcfapiReturn: { ...back, callId: 'another' } })
  page.receive(top, { __gppReturn: back })
  top.answer(page, TCF, tcData(), false)
  top.answer(page, TCF, tcData(), 'true')
  assert.deepEqual([cmp.word, heard], [null, 0], 'somebody else, or nothing that was asked for')
  page.receive(top, { __tcfapiReturn: back })
  assert.deepEqual([cmp.word, heard], ['given', 1])
  page.receive(top, JSON.stringify({ __tcfapiReturn: { ...back, returnValue: tcData({ purpose: {} }) } }))
  assert.deepEqual([cmp.word, heard], ['refused', 2])
  cmp.stop()
  assert.equal(page.listeners, 0)
})

test('a GPP is asked for its state and for changes, and one in the page itself is called', () => {
  const { top, page } = embedded('', [GPP])
  new Cmp(GPP, page.window, () => {}).ask()
  assert.deepEqual(top.calls.map(({ __gppCall: call }) => [call!.command, call!.version]), [['ping', '1.1'], ['addEventListener', '1.1']])
  const own = embedded('', [TCF, GPP])
  const commands: unknown[][] = []
  const here = (command: string, ...more: unknown[]) => {
    commands.push([command, more.length])
    const callback = more.at(-1) as (value: unknown, success: boolean) => void
    callback(ping([7], { usnat: [{ SaleOptOut: 2 }] }), true)
  }
  Object.assign(own.page, { __gpp: here, __tcfapi: here })
  const gpp = new Cmp(GPP, own.page.window, () => {})
  assert.ok(gpp.ask() && new Cmp(TCF, own.page.window, () => {}).ask())
  assert.equal(gpp.word, 'given')
  assert.deepEqual(commands, [['ping', 1], ['addEventListener', 1], ['addEventListener', 2]])
  assert.deepEqual(own.top.calls, [], 'nobody above is asked')
})

test('a CMP in the page itself that fails does no harm', (context) => {
  const { page } = embedded()
  const info = context.mock.method(console, 'info', () => {})
  Object.assign(page, { __tcfapi: () => { throw new Error('not today') } })
  const cmp = new Cmp(TCF, page.window, () => {})
  assert.deepEqual([cmp.ask(), cmp.word, info.mock.callCount()], [true, null, 1])
})

test('a CMP that never stops answering is not believed any more', () => {
  const { top, page } = embedded()
  const cmp = new Cmp(TCF, page.window, () => {})
  cmp.ask()
  for (let time = 0; time < 2000; time += 1) top.answer(page, TCF, tcData())
  assert.deepEqual([cmp.word, page.listeners], ['refused', 0])
})

test('frames without end are not climbed', () => {
  let page = new Page()
  page.frames[TCF.locator] = {}
  for (let depth = 0; depth < 1000; depth += 1) page = new Page(page)
  assert.equal(new Cmp(TCF, page.window, () => {}).ask(), false)
})

/** The consent of a page, with a clock of the test's, and what it told. */
function consentOf(context: TestContext, page: Page) {
  mock.timers.enable({ apis: ['setTimeout'] })
  context.after(() => mock.timers.reset())
  const told: boolean[] = []
  const state = { isKnown: false, told }
  const consent = new ViewerConsent(page.window, () => told.push(consent.given))
  void consent.known.then(() => (state.isKnown = true))
  consent.start()
  return { consent, state, settle: () => new Promise((resolve) => setImmediate(resolve)) }
}

test('the embedder’s word in the address is used without asking a CMP', async (context) => {
  for (const [search, given] of [['?consent=1', true], ['?consent=0', false]] as const) {
    const { top, page } = embedded(search, [TCF, GPP])
    const { consent, state, settle } = consentOf(context, page)
    await settle()
    assert.deepEqual([consent.given, state.isKnown, top.calls], [given, true, []], search)
    mock.timers.reset()
  }
})

test('a browser that opts out everywhere is obeyed whatever anybody says', async (context) => {
  for (const search of ['?consent=1', '']) {
    const { top, page } = embedded(search)
    page.navigator.globalPrivacyControl = true
    const { consent, state, settle } = consentOf(context, page)
    await settle()
    assert.deepEqual([consent.given, state.isKnown, top.calls], [false, true, []], search)
    mock.timers.reset()
  }
})

test('a CMP’s word is waited for a moment, and counts whenever it comes', async (context) => {
  const { top, page } = embedded()
  const { consent, state, settle } = consentOf(context, page)
  await settle()
  assert.equal(state.isKnown, false)
  mock.timers.tick(499)
  await settle()
  assert.equal(state.isKnown, false)
  mock.timers.tick(1)
  await settle()
  assert.deepEqual([state.isKnown, consent.given], [true, false], 'it is not waited for any longer')
  top.answer(page, TCF, tcData())
  top.answer(page, TCF, tcData())
  top.answer(page, TCF, tcData({ eventStatus: 'cmpuishown', purpose: {} }))
  assert.deepEqual(state.told, [true], 'each change is told once')
  top.answer(page, TCF, tcData({ eventStatus: 'useractioncomplete', purpose: { consents: { 1: true } } }))
  assert.deepEqual([state.told, consent.given], [[true, false], false])
  consent.stop()
  top.answer(page, TCF, tcData())
  assert.equal(consent.given, false, 'it does not listen any more')
})

test('the answer ends the wait, and of two CMPs the one that refuses decides', async (context) => {
  const { top, page } = embedded('', [TCF, GPP])
  const { consent, state, settle } = consentOf(context, page)
  top.answer(page, TCF, { gdprApplies: false })
  await settle()
  assert.equal(state.isKnown, false, 'there is another')
  top.answer(page, GPP, { eventName: 'signalStatus', pingData: ping([7], { usnat: [{ SaleOptOut: 1 }] }) })
  await settle()
  assert.deepEqual([state.isKnown, consent.given], [true, false])
  top.answer(page, GPP, { eventName: 'signalStatus', pingData: ping([-1], {}) })
  assert.equal(consent.given, true, 'it has nothing to say any more')
})

test('without a CMP nothing is waited for, and one that comes later is found', async (context) => {
  const { top, page } = embedded('', [])
  const { consent, state, settle } = consentOf(context, page)
  await settle()
  assert.deepEqual([state.isKnown, consent.given], [true, false])
  mock.timers.tick(1000)
  top.frames[TCF.locator] = {}
  mock.timers.tick(1000)
  assert.equal(top.calls.length, 1)
  top.answer(page, TCF, tcData())
  assert.deepEqual(state.told, [true])
  for (let second = 0; second < 30; second += 1) mock.timers.tick(1000)
  top.frames[GPP.locator] = {}
  for (let second = 0; second < 100; second += 1) mock.timers.tick(1000)
  assert.equal(top.calls.length, 1, 'it is not looked for forever')
})
