/** Nothing that keeps people out: axe finds no serious or critical problem, and the keyboard reaches everything. */

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { after, before, test } from 'node:test'

import type { Browser } from 'playwright-core'

import { DESKTOP, PHONE, Visit, launch } from './support/browser.ts'
import { Server, eventually } from './support/server.ts'

const START_MS = 20_000
const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')

interface Finding {
  id: string
  impact: string | null
  help: string
  nodes: { target: unknown[] }[]
}

let server: Server
let browser: Browser

before(async () => {
  server = await Server.start('demo')
  browser = await launch()
})

after(async () => {
  await browser?.close()
  await server?.dispose()
})

async function seriousProblems(visit: Visit): Promise<string[]> {
  const run = `${axe}; axe.run(document, { resultTypes: ['violations'] }).then((results) => results.violations)`
  const findings = (await visit.page.evaluate(run)) as Finding[]
  return findings
    .filter(({ impact }) => impact === 'serious' || impact === 'critical')
    .map(({ id, help, nodes }) => `${id}: ${help} (${nodes.map(({ target }) => target.join(' ')).join(', ')})`)
}

/** The studio of the demo channel, as to somebody who has its key. */
async function openStudio(options: Parameters<Browser['newContext']>[0] = DESKTOP): Promise<Visit> {
  const visit = await Visit.open(browser, `${server.url}/studio/demo`, options, (page) =>
    page.route('**/api/v1/channels/demo/studio', (route) => route.fulfill({ json: { channel: 'demo', title: 'Demo' } })),
  )
  await eventually('it is ready', START_MS, () => visit.page.getByRole('button', { name: 'Go live' }).isEnabled())
  return visit
}

for (const [device, options] of [['phone', PHONE], ['desktop', DESKTOP]] as const) {
  for (const colorScheme of ['dark', 'light'] as const) {
    test(`no serious problem on a ${device}, ${colorScheme}`, async () => {
      const home = await Visit.open(browser, `${server.url}/`, { ...options, colorScheme })
      await home.page.locator('a[href="/demo"]').waitFor({ timeout: START_MS })
      await home.page.locator('summary').click()
      assert.deepEqual(await seriousProblems(home), [])
      await home.close()

      const watch = await Visit.open(browser, `${server.url}/demo`, { ...options, colorScheme })
      await watch.reaches('playing', START_MS)
      await watch.page.getByRole('button', { name: /behind live/ }).click()
      await watch.page.getByLabel('Say something').fill(`hello from a ${device} in the ${colorScheme}`)
      await watch.page.keyboard.press('Enter')
      await watch.page.getByTestId('comment').last().getByRole('button', { name: /About/ }).click({ timeout: START_MS })
      await watch.page.getByRole('button', { name: 'Other reactions' }).click()
      await watch.page.getByRole('button', { name: /here$/ }).click()
      assert.deepEqual(await seriousProblems(watch), [])
      await watch.close()

      const door = await Visit.open(browser, `${server.url}/studio/demo`, { ...options, colorScheme })
      await door.page.getByLabel('Stream key').waitFor({ timeout: START_MS })
      assert.deepEqual(await seriousProblems(door), [])
      await door.close()

      const studio = await openStudio({ ...options, colorScheme })
      assert.deepEqual(await seriousProblems(studio), [])
      await studio.close()

      const missing = await Visit.open(browser, `${server.url}/no-such-channel`, { ...options, colorScheme })
      await missing.reaches('missing', START_MS)
      assert.deepEqual(await seriousProblems(missing), [])
      await missing.close()
    })
  }
}

test('the keyboard reaches every control, and each has a name', async () => {
  const visit = await Visit.open(browser, `${server.url}/demo`)
  await visit.reaches('playing', START_MS)
  const all = await namesByTab(visit, 14)
  for (const wanted of [/Tap for sound/, /Pause/, /Unmute/, /Volume/, /Live/, /Full screen/, /Share/, /behind live/]) {
    assert.match(all, wanted)
  }
  await visit.close()
})

test('the keyboard reaches every control of the studio, and each has a name', async () => {
  const visit = await openStudio()
  await visit.page.keyboard.press('m')
  assert.equal(await visit.page.getByRole('button', { name: 'Microphone' }).getAttribute('aria-pressed'), 'false')
  const all = await namesByTab(visit, 20)
  for (const wanted of [/Sign out/, /Microphone/, /Camera/, /Go live/, /Say something/, /Send a heart/, /Share/, /Copy link/, /Quality/]) {
    assert.match(all, wanted)
  }
  await visit.close()
})

/** The names of what the focus reaches in so many steps. */
async function namesByTab(visit: Visit, steps: number): Promise<string> {
  const names: string[] = []
  for (let step = 0; step < steps; step += 1) {
    await visit.page.keyboard.press('Tab')
    const name = await visit.page.evaluate(() => {
      const focused = document.activeElement
      const label = (focused as HTMLSelectElement | null)?.labels?.[0]?.firstChild?.textContent?.trim()
      return focused?.getAttribute('aria-label') ?? (label || focused?.textContent?.trim()) ?? ''
    })
    assert.ok(name, `step ${step} has a name`)
    names.push(name)
  }
  return names.join(' | ')
}
