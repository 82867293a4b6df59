/** A room in Chromium: two viewers, a broadcaster and a moderator talk, keep order, judge, and come back. */

import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'

import type { Browser, Page } from 'playwright-core'

import { DESKTOP, PHONE, Visit, launch, screenshots } from './support/browser.ts'
import { Broadcaster, Server, eventually } from './support/server.ts'

const START_MS = 30_000
const SOON_MS = 10_000

let server: Server
let browser: Browser
let broadcaster: Broadcaster
let key: string

before(async () => {
  server = await Server.start('serve', {
    settings: {
      ONAIR_CHAT__JURY_PRESENCE: '0s',
      // All viewers of this test come from one address.
      ONAIR_CHAT__JURY_ONE_PER_NETWORK: 'false',
      ONAIR_CHAT__JURY_TIME: '30s',
    },
  })
  const address = await server.createChannel('kitchen', 'Cooking with Ada')
  key = address.slice(address.lastIndexOf('/') + 1)
  broadcaster = new Broadcaster(address, 'demo.flv')
  browser = await launch()
})

after(async () => {
  await broadcaster?.kill()
  await browser?.close()
  await server?.dispose()
})

/** A viewer at the channel, with the room open and a name of their own. */
async function enter(name: string, options: Parameters<typeof Visit.open>[2], hash = ''): Promise<Visit> {
  const visit = await Visit.open(browser, `${server.url}/kitchen${hash}`, options)
  await arrived(visit)
  await visit.page.getByRole('button', { name: /take another name/ }).click()
  await visit.page.getByLabel('Your name').fill(name)
  await visit.page.getByRole('button', { name: 'Save' }).click()
  await eventually(`${name} is called so`, SOON_MS, () =>
    visit.page.getByRole('button', { name: `You are ${name}: take another name` }).isVisible(),
  )
  return visit
}

async function arrived({ page }: Visit): Promise<void> {
  await page.locator('[data-testid=chat][data-line=open]').waitFor({ timeout: START_MS })
}

/** The broadcaster's own browser at the watch page. */
async function enterAsHost(): Promise<Visit> {
  const visit = await Visit.open(browser, `${server.url}/studio/kitchen`, DESKTOP, (page) =>
    page.context().request.post(`${server.url}/api/v1/channels/kitchen/studio`, { headers: { authorization: `Bearer ${key}` } }),
  )
  await visit.page.goto(`${server.url}/kitchen`)
  await arrived(visit)
  return visit
}

async function say({ page }: Visit, text: string): Promise<void> {
  const field = page.getByLabel('Say something')
  await field.fill(text)
  await field.press('Enter')
}

function comment({ page }: Visit, text: string) {
  return page.getByTestId('comment').filter({ hasText: text })
}

async function sees(visit: Visit, text: string): Promise<void> {
  await comment(visit, text).last().waitFor({ timeout: SOON_MS })
}

async function misses(visit: Visit, text: string): Promise<void> {
  await eventually(`"${text}" is gone`, SOON_MS, async () => (await comment(visit, text).count()) === 0)
}

async function act(visit: Visit, text: string, what: string): Promise<void> {
  const line = comment(visit, text).first()
  await line.getByRole('button', { name: /About/ }).click()
  await line.getByRole('button', { name: what, exact: true }).click()
}

async function isTold({ page }: Visit, words: RegExp): Promise<void> {
  await eventually(`a note ${String(words)}`, SOON_MS, async () =>
    words.test((await page.getByTestId('note').textContent()) ?? ''),
  )
}

/** Somebody who only sits in the room and votes as they are told. */
async function sitIn(guilty: boolean): Promise<Page> {
  const context = await browser.newContext()
  const page = await context.newPage()
  await page.goto(`${server.url}/api/v1/server`)
  await page.evaluate(async (vote) => {
    await fetch('/api/v1/viewer', { method: 'POST' })
    const socket = new WebSocket(`ws://${location.host}/ws/kitchen`)
    socket.onopen = () => socket.send(JSON.stringify({ type: 'join', v: 1 }))
    await new Promise<void>((resolve) => {
      socket.onmessage = ({ data }) => {
        const event = JSON.parse(String(data)) as { type: string; case?: number }
        if (event.type === 'welcome') resolve()
        if (event.type === 'summons') socket.send(JSON.stringify({ type: 'vote', case: event.case, guilty: vote }))
      }
    })
  }, guilty)
  return page
}

test('viewers talk, and order is kept in place', { timeout: 240_000 }, async () => {
  const ann = await enter('Ann', PHONE)
  const ben = await enter('Ben', DESKTOP)
  await ann.reaches('playing', START_MS)
  await ben.reaches('playing', START_MS)
  const host = await enterAsHost()

  // Talk.
  await say(host, 'Welcome everybody! Today: ravioli from scratch. #cooking')
  for (const visit of [ann, ben]) await sees(visit, 'ravioli from scratch')
  await say(ann, 'Hello @kitchen, greetings from Lisbon!')
  await sees(ben, 'greetings from Lisbon')
  await act(ben, 'greetings from Lisbon', 'Reply')
  await say(ben, 'My grandmother is from there too')
  await sees(ann, 'My grandmother')
  await comment(ann, 'My grandmother').getByText('answers').waitFor({ state: 'attached' })
  const attack = '<img src=x onerror=alert(1)><script>alert(2)</script>'
  await say(ben, attack)
  await sees(ann, attack)

  // Hearts.
  for (let taps = 0; taps < 8; taps += 1) await ann.page.getByRole('button', { name: 'Send a heart' }).click()
  await eventually('the count moves', SOON_MS, async () => /8/.test((await ben.page.getByTestId('hearts').textContent()) ?? ''))
  await eventually('three are here', SOON_MS, async () => (await ben.page.getByTestId('here').textContent()) === '3')
  await say(ann, 'How long do they need to boil?')
  await sees(host, 'How long do they need')
  await act(host, 'Welcome everybody', 'Pin')
  await ann.page.getByTestId('pinned').getByText('Welcome everybody').waitFor({ timeout: SOON_MS })
  for (let taps = 0; taps < 6; taps += 1) await ben.page.getByRole('button', { name: 'Send a heart' }).click()
  await ann.screenshot('chat-phone')
  await ben.screenshot('chat-desktop')

  // The broadcaster reads along in the studio.
  for (const [device, options] of [['phone', { ...PHONE, colorScheme: 'dark' as const }], ['desktop', DESKTOP]] as const) {
    const state = await host.page.context().storageState()
    const studio = await Visit.open(browser, `${server.url}/studio/kitchen`, { ...options, storageState: state })
    await arrived(studio)
    await sees(studio, 'How long do they need')
    await say(ann, `and can the ${device} see me?`)
    await sees(studio, 'see me?')
    await studio.screenshot(`studio-chat-${device}`)
    if (device === 'phone') {
      await studio.page.getByTestId('chat').scrollIntoViewIfNeeded()
      await studio.screenshot('studio-chat-phone-below')
    }
    await studio.close()
  }
  const dark = await enter('Dora', { ...PHONE, colorScheme: 'dark' })
  await dark.reaches('playing', START_MS)
  await comment(dark, 'How long do they need').getByRole('button', { name: /About/ }).click()
  await dark.screenshot('chat-phone-dark')
  await dark.close()

  // An invitation makes a moderator.
  await host.page.getByRole('button', { name: 'Moderation' }).click()
  await host.page.getByRole('button', { name: 'Invite a moderator' }).click()
  const link = await eventually('an invitation', SOON_MS, async () => {
    const text = await host.page.getByTestId('order').textContent()
    return /#moderate=[\w.-]+/.exec(text ?? '')?.[0]
  })
  const mod = await enter('Grace', DESKTOP, link)
  assert.ok(!mod.page.url().includes('moderate'), 'the invitation does not stay in the address')

  // Delete, and take it back.
  await act(mod, attack, 'Delete')
  for (const visit of [ann, ben, host]) await misses(visit, attack)
  await mod.page.getByRole('button', { name: 'Moderation' }).click()
  await mod.page.getByRole('button', { name: 'Show what was done' }).click()
  await mod.page.getByRole('button', { name: 'Undo' }).first().waitFor({ timeout: SOON_MS })
  await mod.screenshot('chat-moderation')

  // Slow mode.
  await mod.page.getByRole('button', { name: '30 s' }).click()
  await isTold(ann, /Slow mode: one comment every 30 s/)
  await say(ann, 'one of mine')
  await isTold(ann, /slow mode.*Try again in/)
  await mod.page.getByRole('button', { name: 'Off', exact: true }).click()
  await mod.page.getByRole('button', { name: 'Moderation' }).click()

  // The jury: everybody but the two parties. Of four, three make a majority.
  const jurors = await Promise.all([sitIn(true), sitIn(true)])
  await say(ann, 'you are all terrible cooks')
  await sees(ben, 'terrible cooks')
  await act(ben, 'terrible cooks', 'Report')
  await mod.page.getByTestId('jury').getByText('you are all terrible cooks').waitFor({ timeout: SOON_MS })
  await mod.screenshot('chat-jury')
  await mod.page.getByRole('button', { name: 'Mute the author' }).click()
  await isTold(ann, /Five viewers found/)
  await say(ann, 'but I')
  await isTold(ann, /You are muted. Try again in/)
  await Promise.all(jurors.map((page) => page.context().close()))

  // The server restarts: everybody comes back, and nothing is lost.
  const complaints = (about: RegExp) =>
    [ann, ben, host, mod].flatMap((visit) => visit.complaints).filter((text) => about.test(text))
  assert.deepEqual(complaints(/policy|uncaught|Trusted/i), [])
  const before = await ben.page.getByTestId('comment').count()
  await server.stop()
  await broadcaster.kill()
  await server.run()
  for (const visit of [ann, ben, host, mod]) await arrived(visit)
  assert.equal(await ben.page.getByTestId('comment').count(), before)
  await say(host, 'Here we are again')
  for (const visit of [ann, ben, mod]) await sees(visit, 'Here we are again')

  // Ban.
  await act(mod, 'greetings from Lisbon', 'Ban')
  await ann.page.locator('[data-testid=chat][data-line=refused]').waitFor({ timeout: SOON_MS })
  await isTold(ann, /banned/)
  await ann.page.reload()
  await ann.page.getByText('You cannot take part in this room.').waitFor({ timeout: SOON_MS })

  // A page that loads a part of itself while the server is down may complain of that, but of nothing else.
  assert.deepEqual(complaints(/policy|Trusted/i), [])
  console.log(`screenshots are in ${screenshots}`)
  for (const visit of [ann, ben, host, mod]) await visit.close()
})

test('where WebSockets are blocked, the same is said over an event stream', async () => {
  broadcaster = new Broadcaster(await server.createChannel('garden', 'Roses'), 'demo.flv')
  const visit = await Visit.open(browser, `${server.url}/garden`, PHONE, (page) =>
    page.addInitScript(`
      globalThis.WebSocket = class {
        static OPEN = 1
        constructor() { setTimeout(() => this.onclose?.()) }
        close() {}
      }
    `),
  )
  await arrived(visit)
  await say(visit, 'by another way')
  await sees(visit, 'by another way')
  assert.ok(visit.complaints.every((complaint) => !complaint.includes('403')), visit.complaints.join(' | '))
  await visit.close()
})
