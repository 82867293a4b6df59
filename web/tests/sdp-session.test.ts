import assert from 'node:assert/strict'
import test from 'node:test'

import { SdpSession, SignallingError } from '../src/lib/sdp-session.ts'

const ENDPOINT = 'http://onair.example/whep/kitchen'

interface Asked {
  url: string
  method: string
  headers: Record<string, string>
  body: unknown
  keepalive: boolean
}

/** A server that gives these answers, one after another, and remembers what it was asked. */
function answering(...answers: Response[]) {
  const asked: Asked[] = []
  const fetch = async (url: string, init: RequestInit) => {
    asked.push({
      url,
      method: init.method ?? 'GET',
      headers: init.headers as Record<string, string>,
      body: init.body,
      keepalive: init.keepalive ?? false,
    })
    return answers.shift() ?? new Response(null, { status: 200 })
  }
  return { asked, fetch }
}

const created = (location: string) => new Response('answer', { status: 201, headers: { location } })

async function refusalOf(response: Response): Promise<SignallingError> {
  const { fetch } = answering(response)
  try {
    await SdpSession.open(ENDPOINT, 'offer', fetch)
  } catch (error) {
    assert.ok(error instanceof SignallingError)
    return error
  }
  throw new Error('it was taken')
}

test('an offer opens a session, a DELETE ends it, once and from a page that is being closed', async () => {
  const { asked, fetch } = answering(created('/whep/kitchen/s-1'))
  const session = await SdpSession.open(ENDPOINT, 'offer', fetch)
  assert.equal(session.answer, 'answer')
  session.close()
  session.close()
  assert.deepEqual(asked.map(({ method, url }) => `${method} ${url}`), [
    `POST ${ENDPOINT}`,
    'DELETE http://onair.example/whep/kitchen/s-1',
  ])
  assert.equal(asked[0]?.headers['content-type'], 'application/sdp')
  assert.equal(asked[0]?.body, 'offer')
  assert.equal(asked[1]?.keepalive, true)
})

test('the session is where a redirect led, not where the offer was sent', async () => {
  const moved = created('s-2')
  Object.defineProperty(moved, 'url', { value: 'http://edge.example/whep/kitchen' })
  const { asked, fetch } = answering(moved)
  const session = await SdpSession.open(ENDPOINT, 'offer', fetch)
  session.close()
  assert.equal(asked[1]?.url, 'http://edge.example/whep/s-2')
})

test('an ICE restart sends the fragment under If-Match and returns the answer', async () => {
  const { asked, fetch } = answering(created('/s'), new Response('theirs', { status: 200 }))
  const session = await SdpSession.open(ENDPOINT, 'offer', fetch)
  assert.equal(await session.restartIce('mine'), 'theirs')
  assert.equal(asked[1]?.method, 'PATCH')
  assert.equal(asked[1]?.headers['content-type'], 'application/trickle-ice-sdpfrag')
  assert.equal(asked[1]?.headers['if-match'], '"*"')
  assert.equal(asked[1]?.body, 'mine')
})

test('a refusal carries the server’s words and how long to wait', async () => {
  const body = JSON.stringify({ error: { code: 'not_over_webrtc', message: 'This broadcast has B-frames.' } })
  const refusal = await refusalOf(new Response(body, { status: 422, headers: { 'retry-after': '7' } }))
  assert.equal(refusal.status, 422)
  assert.equal(refusal.code, 'not_over_webrtc')
  assert.equal(refusal.message, 'This broadcast has B-frames.')
  assert.equal(refusal.retryAfter, 7000)
})

test('a refusal in no words of ours still has its status', async () => {
  for (const body of ['<html>', 'null', '{"error":"x"}', '']) {
    const refusal = await refusalOf(new Response(body, { status: 502, headers: { 'retry-after': 'soon' } }))
    assert.equal(refusal.status, 502)
    assert.equal(refusal.code, null)
    assert.equal(refusal.retryAfter, null)
    assert.match(refusal.message, /502/)
  }
})

test('a success that names no session is a failure', async () => {
  assert.equal((await refusalOf(new Response('answer', { status: 201 }))).status, 201)
  assert.equal((await refusalOf(new Response('answer', { status: 200, headers: { location: '/s' } }))).status, 200)
})

test('no answer at all has no status', async () => {
  const unreachable = () => Promise.reject(new TypeError('refused'))
  await assert.rejects(
    SdpSession.open(ENDPOINT, 'offer', unreachable),
    (error: unknown) => error instanceof SignallingError && error.status === null,
  )
})
