/** WHIP and WHEP with a real browser at both ends. */

import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'

import type { Browser, Page } from 'playwright-core'

import { barePage, launch } from './support/browser.ts'
import { Broadcaster, Server, eventually, hasMediaWorker } from './support/server.ts'

const PATIENCE_MS = 30_000

let server: Server
let browser: Browser

before(async () => {
  server = await Server.start('serve', { webRtc: true })
  browser = await launch()
})

after(async () => {
  await browser?.close()
  await server?.dispose()
})

interface Received {
  kind: string
  packets: number
  lost: number
  frames: number
}

/** A page on the server, so that its requests are of the same origin. */
const open = (of = server): Promise<Page> => barePage(browser, of.url)

/** Asks for a channel over WHEP, and answers with the status and the reason for a refusal. */
function watch(
  page: Page,
  channel: string,
  over: 'udp' | 'tcp' = 'udp',
): Promise<{ status: number; text: string; location: string | null }> {
  return page.evaluate(async ([name, transport]) => {
    const connection = new RTCPeerConnection()
    Object.assign(globalThis, { connection })
    connection.addTransceiver('video', { direction: 'recvonly' })
    connection.addTransceiver('audio', { direction: 'recvonly' })
    await connection.setLocalDescription(await connection.createOffer())
    const response = await fetch(`/whep/${name}`, {
      method: 'POST',
      headers: { 'content-type': 'application/sdp' },
      body: connection.localDescription!.sdp,
    })
    const text = await response.text()
    const elsewhere = new RegExp(`^a=candidate:\\S+ \\d+ (?!${transport})\\S+ .*\\r\\n`, 'gim')
    if (response.ok) await connection.setRemoteDescription({ type: 'answer', sdp: text.replace(elsewhere, '') })
    return { status: response.status, text, location: response.headers.get('location') }
  }, [channel, over] as const)
}

/** What has arrived so far. */
function received(page: Page): Promise<Received[]> {
  return page.evaluate(async () => {
    const { connection } = globalThis as unknown as { connection: RTCPeerConnection }
    const stats = [...(await connection.getStats()).values()]
    return stats
      .filter((report) => report.type === 'inbound-rtp')
      .map((report) => ({
        kind: report.kind,
        packets: report.packetsReceived,
        lost: report.packetsLost,
        frames: report.framesDecoded ?? 0,
      }))
  })
}

/** Puts the browser's made-up camera and microphone on the air, the picture in this codec. */
function publish(page: Page, channel: string, key: string, codec: string): Promise<number> {
  return page.evaluate(
    async ([name, streamKey, mimeType]) => {
      const connection = new RTCPeerConnection()
      Object.assign(globalThis, { connection })
      const media = await navigator.mediaDevices.getUserMedia({ video: { width: 320, height: 240 }, audio: true })
      for (const track of media.getTracks()) {
        const transceiver = connection.addTransceiver(track, { direction: 'sendonly' })
        if (track.kind !== 'video') continue
        const { codecs } = RTCRtpSender.getCapabilities('video')!
        transceiver.setCodecPreferences(codecs.filter((known) => [mimeType, 'video/rtx'].includes(known.mimeType)))
      }
      await connection.setLocalDescription(await connection.createOffer())
      const response = await fetch(`/whip/${name}`, {
        method: 'POST',
        headers: { 'content-type': 'application/sdp', authorization: `Bearer ${streamKey}` },
        body: connection.localDescription!.sdp,
      })
      if (response.ok) await connection.setRemoteDescription({ type: 'answer', sdp: await response.text() })
      return response.status
    },
    [channel, key, codec] as const,
  )
}

test('a broadcast that came over RTMP is watched over WHEP, and the session ends by DELETE', async () => {
  const broadcaster = new Broadcaster(await server.createChannel('garden', 'In the garden'), 'video-only.flv')
  const page = await open()
  const answer = await eventually('the channel is live', PATIENCE_MS, async () => {
    const answer = await watch(page, 'garden')
    assert.ok([201, 409].includes(answer.status), `${answer.status} ${answer.text}`)
    return answer.status === 201 && answer
  })
  await eventually('two seconds of pictures', PATIENCE_MS, async () =>
    (await received(page)).some(({ kind, frames }) => kind === 'video' && frames >= 60),
  )
  assert.equal((await received(page)).reduce((sum, { lost }) => sum + lost, 0), 0)

  const session = `${server.url}${answer.location}`
  assert.equal((await fetch(session, { method: 'DELETE' })).status, 200)
  await eventually('the session is gone', PATIENCE_MS, async () => {
    return (await fetch(session, { method: 'DELETE' })).status === 404
  })
  await page.close()
  await broadcaster.kill()
})

for (const codec of ['H264', 'VP8', 'VP9', 'AV1']) {
  test(`a browser publishes ${codec} and Opus over WHIP, and another watches both over WHEP`, async () => {
    const channel = `studio-${codec.toLowerCase()}`
    const key = (await server.createChannel(channel, codec)).split('/').pop()!
    const [sender, viewer] = [await open(), await open()]
    assert.equal(await publish(sender, channel, 'not-the-key', `video/${codec}`), 401)
    assert.equal(await publish(sender, channel, key, `video/${codec}`), 201)
    await eventually('picture and sound are known', PATIENCE_MS, async () => {
      const shown = (await (await fetch(`${server.url}/api/v1/channels/${channel}`)).json()) as { tracks: unknown[] }
      return shown.tracks.length === 2
    })
    assert.equal((await watch(viewer, channel)).status, 201)
    await eventually('pictures and sound', PATIENCE_MS, async () => {
      const streams = await received(viewer)
      const picture = streams.find(({ kind }) => kind === 'video')
      const sound = streams.find(({ kind }) => kind === 'audio')
      return (picture?.frames ?? 0) >= 30 && (sound?.packets ?? 0) >= 50
    })
    await viewer.close()
    await sender.close()
  })
}

test('sound comes twice, so that a lost packet is not heard', async () => {
  const broadcaster = new Broadcaster(await server.createChannel('meadow', 'In the meadow'), 'demo.flv')
  const page = await open()
  const answer = await eventually('the channel is live', PATIENCE_MS, async () => {
    const answer = await watch(page, 'meadow')
    return answer.status !== 409 && answer
  })
  assert.match(answer.text, /a=rtpmap:\d+ red\/48000\/2/)
  // Without somebody who listens, nothing is decoded.
  await page.evaluate(() => {
    const { connection } = globalThis as unknown as { connection: RTCPeerConnection }
    const listener = document.createElement('audio')
    listener.srcObject = new MediaStream(connection.getReceivers().map(({ track }) => track))
    document.body.append(listener)
    void listener.play()
    const context = new AudioContext()
    context.createMediaStreamSource(listener.srcObject as MediaStream).connect(new AnalyserNode(context))
  })
  const sound = () =>
    page.evaluate(async () => {
      const { connection } = globalThis as unknown as { connection: RTCPeerConnection }
      const stats = [...(await connection.getStats()).values()]
      return stats.find((report) => report.type === 'inbound-rtp' && report.kind === 'audio')
    })
  const heard = await eventually('sound, and some of it for the second time', PATIENCE_MS, async () => {
    const stats = await sound()
    // What came before anybody listened was received, and handed to no decoder.
    const decoded = stats?.totalAudioEnergy > 0 && stats.fecPacketsReceived > 0
    return decoded && stats.packetsReceived > 100 && stats
  })
  // A frame of 20 ms at 64 kbit/s is 160 bytes.
  assert.ok(heard.bytesReceived / heard.packetsReceived > 250, JSON.stringify(heard))
  await page.close()
  await broadcaster.kill()
})

test('who offers another codec gets a counter-offer, answers it, and watches', async () => {
  const broadcaster = new Broadcaster(await server.createChannel('orchard', 'In the orchard'), 'video-only.flv')
  const page = await open()
  await eventually('the channel is live', PATIENCE_MS, async () => (await watch(page, 'orchard')).status !== 409)
  const statuses = await page.evaluate(async () => {
    const connection = new RTCPeerConnection()
    const video = connection.addTransceiver('video', { direction: 'recvonly' })
    const { codecs } = RTCRtpReceiver.getCapabilities('video')!
    video.setCodecPreferences(codecs.filter((codec) => codec.mimeType === 'video/VP8'))
    await connection.setLocalDescription(await connection.createOffer())
    const send = (method: string, url: string, { sdp }: RTCSessionDescription) =>
      fetch(url, { method, headers: { 'content-type': 'application/sdp' }, body: sdp })
    const countered = await send('POST', '/whep/orchard', connection.localDescription!)
    connection.close()
    const answering = new RTCPeerConnection()
    Object.assign(globalThis, { connection: answering })
    await answering.setRemoteDescription({ type: 'offer', sdp: await countered.text() })
    await answering.setLocalDescription(await answering.createAnswer())
    const taken = await send('PATCH', countered.headers.get('location')!, answering.localDescription!)
    return [countered.status, taken.status]
  })
  assert.deepEqual(statuses, [406, 204])
  await eventually('pictures', PATIENCE_MS, async () => (await received(page)).some((stream) => stream.frames > 30))
  await page.close()
  await broadcaster.kill()
})

test('where a network lets no UDP through, the same goes over TCP', async () => {
  const broadcaster = new Broadcaster(await server.createChannel('cellar', 'In the cellar'), 'h264-aac.flv')
  const page = await open()
  await eventually('the channel is live', PATIENCE_MS, async () => (await watch(page, 'cellar', 'tcp')).status === 201)
  await eventually('pictures and sound', PATIENCE_MS, async () => {
    const streams = await received(page)
    const [picture, sound] = ['video', 'audio'].map((kind) => streams.find((stream) => stream.kind === kind))
    return (picture?.frames ?? 0) >= 60 && (sound?.packets ?? 0) >= 100
  })
  const protocols = await page.evaluate(async () => {
    const { connection } = globalThis as unknown as { connection: RTCPeerConnection }
    const stats = [...(await connection.getStats()).values()]
    const pairs = stats.filter((report) => report.type === 'candidate-pair' && report.nominated)
    return pairs.map((pair) => stats.find((report) => report.id === pair.remoteCandidateId)?.protocol)
  })
  // Each of the server's addresses may have a pair.
  assert.deepEqual([...new Set(protocols)], ['tcp'])
  assert.equal((await received(page)).reduce((sum, { lost }) => sum + lost, 0), 0)
  await page.close()
  await broadcaster.kill()
})

test('a source with B-frames is watched with every picture, made without', { skip: !hasMediaWorker && 'there is no media worker' }, async () => {
  const broadcaster = new Broadcaster(await server.createChannel('harbour', 'At the harbour'), 'h264-bframes-aac.flv')
  const page = await open()
  const answer = await eventually('the channel is live', PATIENCE_MS, async () => {
    const answer = await watch(page, 'harbour')
    return answer.status !== 409 && answer
  })
  assert.equal(answer.status, 201, answer.text)
  await eventually('picture and sound', PATIENCE_MS, async () => {
    const streams = await received(page)
    const [video, audio] = ['video', 'audio'].map((kind) => streams.find((stream) => stream.kind === kind))
    return video && audio && video.frames > 60 && audio.packets > 100
  })
  await page.close()
  await broadcaster.kill()
})

test('what WebRTC does not carry is refused with the reason, and nothing live with when to come back', async () => {
  const alone = await Server.start('serve', { webRtc: true, settings: { ONAIR_WORKER__MAX_JOBS: '0' } })
  const page = await open(alone)
  const address = await alone.createChannel('market', 'At the market')
  assert.equal((await watch(page, 'market')).status, 409)
  const broadcaster = new Broadcaster(address, 'h264-bframes-aac.flv')
  const refusal = await eventually('the channel is live', PATIENCE_MS, async () => {
    const answer = await watch(page, 'market')
    return answer.status !== 409 && answer
  })
  assert.equal(refusal.status, 422)
  assert.match(refusal.text, /B-frames/)
  await page.close()
  await broadcaster.kill()
  await alone.dispose()
})
