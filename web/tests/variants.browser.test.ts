/** Viewers of the programme who are sold apart: each page gets the variant of its viewer. */

import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'

import type { Browser } from 'playwright-core'

import { DESKTOP, launch, screenshots } from './support/browser.ts'
import { GuidedVisit, PATIENCE_MS } from './support/guided.ts'
import { Sale } from './support/sale.ts'
import { Broadcaster, Server, eventually, hasMediaWorker } from './support/server.ts'

/** No part of the clip has these colours. */
const GERMAN = [230, 20, 90] as const
const FRENCH = [20, 60, 230] as const
/** Longer than anybody needs to look. */
const SLOT_MS = 60_000

const skip = !hasMediaWorker && 'there is no media worker to burn anything in'

let server: Server
let browser: Browser
let broadcaster: Broadcaster
let sale: Sale

before(async () => {
  if (skip) return
  const settings = { ONAIR_CUES__GAP: '0s', ONAIR_OVERLAY__IMAGE_TIME: '20s', ONAIR_SALE__K: '1' }
  server = await Server.start('serve', { webRtc: true, settings })
  broadcaster = new Broadcaster(await server.createChannel('quay', 'quay'), 'h264-aac.flv')
  sale = await Sale.book(server, GERMAN, { targeting: { languages: ['de'] } })
  await Sale.book(server, FRENCH, { targeting: { languages: ['fr'] } })
  browser = await launch()
})

after(async () => {
  await sale?.clear()
  await broadcaster?.kill()
  await browser?.close()
  await server?.dispose()
  console.log(`screenshots: ${screenshots}`)
})

test('pages of viewers who are sold apart show their own overlay, over WebRTC and LL-HLS', { skip }, async (context) => {
  const enter = async (locale: string, hls = false) => {
    const options = { ...DESKTOP, locale }
    const viewer = await GuidedVisit.open(browser, `${server.url}/quay?consent=1&overlays=burned`, { hls, options })
    context.after(() => viewer.close())
    return viewer
  }
  const viewers = [await enter('de-DE'), await enter('fr-FR')]
  const sees = async (wanted: readonly (readonly [number, number, number])[]) => {
    const [id] = await sale.announce('quay', [{ duration: SLOT_MS }])
    for (const [index, colour] of wanted.entries()) {
      await eventually(`page ${index} has its overlay`, PATIENCE_MS, () => viewers[index]!.hasBurnedIn(colour))
      for (const other of [GERMAN, FRENCH].filter((other) => other !== colour)) assert.ok(!(await viewers[index]!.hasBurnedIn(other)))
    }
    await sale.withdraw(id!)
    for (const [index, colour] of wanted.entries()) {
      await eventually(`page ${index} has the picture back`, PATIENCE_MS, async () => !(await viewers[index]!.hasBurnedIn(colour)))
    }
  }
  // Both came before anybody was sold apart; one of them goes over.
  await sees([GERMAN, FRENCH])
  // Players of LL-HLS are told theirs when they come.
  viewers.push(await enter('fr-CH', true), await enter('de-AT', true))
  await sees([GERMAN, FRENCH, FRENCH, GERMAN])
  for (const viewer of viewers) assert.deepEqual(viewer.visit.complaints, [])
  await viewers[1]!.visit.screenshot('variants-french')
})
