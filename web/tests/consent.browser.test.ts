/** The watch page in another site's page: what its CMP says of consent is what the server is told, then and from then on. */

import assert from 'node:assert/strict'
import { after, before, test, type TestContext } from 'node:test'

import type { Browser } from 'playwright-core'

import { launch } from './support/browser.ts'
import { Embedder, type EmbeddedVisit } from './support/embedder.ts'
import { PATIENCE_MS } from './support/guided.ts'
import { Broadcaster, Server, eventually } from './support/server.ts'

/** A wait for a CMP may take half a second; a busy machine takes its time for the rest, ms. */
const SOON_MS = 2500

let server: Server
let embedder: Embedder
let browser: Browser
const broadcasters: Broadcaster[] = []

before(async () => {
  ;[server, embedder, browser] = await Promise.all([Server.start('serve', { webRtc: true, settings: { ONAIR_HTTP__EMBED_FROM: '["*"]' } }), Embedder.start(), launch()])
  for (const [name, delivery] of [['harbour', 'guided'], ['porch', 'burned']] as const) {
    broadcasters.push(new Broadcaster(await server.createChannel(name, name)))
    const sale = { method: 'PUT', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ delivery }) }
    assert.ok((await server.operate(`/api/v1/channels/${name}/sale`, sale)).ok)
  }
})

after(async () => {
  for (const broadcaster of broadcasters) await broadcaster.kill()
  await browser?.close()
  await embedder?.stop()
  await server?.dispose()
})

/** A viewer of an embedded channel until the end of the test, however that ends. */
async function enter(context: TestContext, channel: string, how: Parameters<Embedder['open']>[2]): Promise<EmbeddedVisit> {
  const viewer = await embedder.open(browser, `${server.url}/${channel}`, how)
  context.after(() => viewer.close())
  return viewer
}

/** Whom a word of the server's is for: its first eight bytes. The rest is how long it holds, and a signature. */
function sessionOf(word: string | null): string | null {
  return word && Buffer.from(word, 'base64url').toString('hex', 0, 8)
}

function tcData(eventStatus: string, agreed: readonly number[]): object {
  const consents = Object.fromEntries(agreed.map((purpose) => [purpose, true]))
  return { gdprApplies: true, eventStatus, cmpStatus: 'loaded', isServiceSpecific: true, purpose: { consents }, tcfPolicyVersion: 5 }
}

function pingData(signalStatus: string, saleOptOut: number): object {
  const usnat = [{ Version: 1, SaleOptOut: saleOptOut, SharingOptOut: 2, TargetedAdvertisingOptOut: 2 }, { SubsectionType: 1, Gpc: false }]
  return { gppVersion: '1.1', cmpStatus: 'loaded', signalStatus, applicableSections: [7], sectionList: [7], parsedSections: { usnat } }
}

test('over the TCF consent is told, withdrawn and told anew, of the same viewer', async (context) => {
  const viewer = await enter(context, 'harbour', { tcf: tcData('tcloaded', [1, 2, 3, 4]), nested: true })
  await viewer.plays()
  assert.deepEqual(await viewer.told(1), ['1'], 'nothing was asked before')
  const choose = (...choice: [string, number[]]) => viewer.page.evaluate(`cmp.tcf(${JSON.stringify(tcData(...choice))})`)
  await choose('cmpuishown', [1, 2, 3, 4])
  await choose('useractioncomplete', [1, 2])
  assert.deepEqual(await viewer.told(2), ['1', '0'])
  await choose('cmpuishown', [1, 2])
  await choose('useractioncomplete', [1, 2, 3, 4])
  assert.deepEqual(await viewer.told(3), ['1', '0', '1'])
  const sessions = [...viewer.events, ...viewer.streams].map(({ session }) => sessionOf(session))
  assert.equal(viewer.streams.length, 1, 'the picture goes on')
  assert.ok(sessions[1], 'it has a session')
  assert.deepEqual(sessions, [null, ...Array<unknown>(3).fill(sessions[1])])
  assert.deepEqual((await viewer.asked()).map(({ command }) => command), ['addEventListener'], 'it listens once')
})

test('over the GPP an opt-out is told, and players that are made from then on have it', async (context) => {
  const viewer = await enter(context, 'porch', { gpp: pingData('ready', 2) })
  await viewer.plays()
  assert.deepEqual([await viewer.told(1), viewer.streams.map(({ consent }) => consent)], [['1'], ['1']])
  const tell = (...event: [string, string, object]) => viewer.page.evaluate(`cmp.gpp(...${JSON.stringify(event)})`)
  await tell('signalStatus', 'not ready', pingData('not ready', 2))
  await tell('sectionChange', 'usnat', pingData('not ready', 1))
  await tell('signalStatus', 'ready', pingData('ready', 1))
  assert.deepEqual(await viewer.told(2), ['1', '0'])
  await viewer.endSession()
  await eventually('there is another player', PATIENCE_MS, async () => viewer.streams.length > 1)
  assert.deepEqual(viewer.streams.map(({ consent }) => consent), ['1', '0'])
})

test('a CMP that does not answer is not waited for, and its answer counts when it comes', async (context) => {
  const viewer = await enter(context, 'harbour', { tcf: 'stub' })
  await viewer.plays()
  const [call] = await viewer.asked()
  const waited = viewer.events[0]!.at - call!.at
  console.log(`asked for consent, the page waited ${waited} ms at most`)
  assert.ok(waited < SOON_MS, `${waited} ms`)
  assert.deepEqual(await viewer.told(1), ['0'])
  await viewer.page.evaluate(`cmp.tcf(${JSON.stringify(tcData('useractioncomplete', [1, 3, 4]))})`)
  assert.deepEqual(await viewer.told(2), ['0', '1'])
  assert.ok(viewer.events[1]!.session, 'it is the same viewer')
})

test('the address and the browser’s own opt-out come before any CMP', async (context) => {
  const optOut = 'Object.defineProperty(Navigator.prototype, "globalPrivacyControl", { get: () => true })'
  const [refused, given, out] = await Promise.all([
    enter(context, 'porch', { tcf: tcData('tcloaded', [1, 3, 4]), query: '?consent=0' }),
    enter(context, 'porch', { tcf: tcData('tcloaded', []), gpp: pingData('ready', 1), query: '?consent=1' }),
    enter(context, 'porch', { tcf: tcData('tcloaded', [1, 3, 4]), query: '?consent=1', prepare: (page) => page.addInitScript(optOut) }),
  ])
  const told = await Promise.all([refused, given, out].map((viewer) => viewer.told(1)))
  assert.deepEqual(told, [['0'], ['1'], ['0']])
  for (const viewer of [refused, given, out]) assert.deepEqual(await viewer.asked(), [])
})
