/** What the page makes of a room's messages, and when it shows them. */

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { deed } from '../src/chat/deed.ts'
import { pieces } from '../src/chat/pieces.ts'
import { parseEvent } from '../src/chat/protocol.ts'
import { holdUntilSeen } from '../src/chat/timing.ts'

test('hashtags and mentions stand out, and nothing else does', () => {
  const marked = (text: string) => pieces(text).filter(({ kind }) => kind !== 'plain').map(({ text }) => text)
  assert.deepEqual(marked('Hello @Ben, #Küche #日本語!'), ['@Ben', '#Küche', '#日本語'])
  assert.deepEqual(marked('mail@example.org http://a/#top &#39; a#b # @'), [])
  for (const text of ['', '#a', 'x #a y @b', '<b>#a</b>', '##a@@b']) {
    assert.equal(pieces(text).map(({ text }) => text).join(''), text)
  }
})

test('the log says what was done in sentences', () => {
  assert.equal(`Grace ${deed({ what: 'delete', target: 'Ann: hello' })}`, 'Grace deleted Ann: hello')
  assert.equal(`Grace ${deed({ what: 'slow', target: '5 s' })}`, 'Grace set the time between comments to 5 s')
  assert.equal(`jury ${deed({ what: 'mute', target: 'Ben' })}`, 'jury muted Ben')
  assert.equal(`Grace ${deed({ what: 'pin', target: 'none' })}`, 'Grace unpinned the comment')
  assert.equal(`Grace ${deed({ what: 'undo', target: 'Heidi: Ben' })}`, 'Grace took back what was done by Heidi: Ben')
})

test('a comment waits for its picture, but not for ever', () => {
  const comment = { timeNs: 10_000 * 1e6 }
  assert.equal(holdUntilSeen(comment, 6000, 0), true)
  assert.equal(holdUntilSeen(comment, 9700, 3700), false, 'in step')
  assert.equal(holdUntilSeen(comment, 6000, 20_000), false, 'the picture stands still')
  assert.equal(holdUntilSeen({ timeNs: null }, 6000, 0), false)
  assert.equal(holdUntilSeen(comment, null, 0), false)
})

test('messages are read as far as they make sense', () => {
  for (const nonsense of ['', 'null', '[]', '{}', '{"type":"shout"}', '{"type":"comment"}', '{"type":"comment","seq":"1","text":1}']) {
    assert.equal(parseEvent(nonsense), null, nonsense)
  }
  const comment = { type: 'comment', seq: 7, user: 'u', name: 'Ann', role: 'emperor', hue: 3, text: '<b>', at: 1, mentions: ['u', 4] }
  const event = parseEvent(JSON.stringify(comment))
  assert.ok(event?.type === 'comment')
  assert.deepEqual([event.comment.seq, event.comment.role, event.comment.text], [7, 'guest', '<b>'])
  assert.deepEqual(event.comment.mentions, ['u'])
  assert.deepEqual(parseEvent('{"type":"presence","count":2}'), { type: 'presence', count: 2, joined: [], left: [] })
  const refused = parseEvent('{"type":"refused","code":"slow_mode","message":"m","retry_ms":5}')
  assert.deepEqual(refused, { type: 'refused', id: null, code: 'slow_mode', message: 'm', retryMs: 5 })
})
