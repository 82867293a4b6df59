/** What an entry of the log says was done, after the name of who did it. */

import type { LogEntry } from './protocol.ts'

const DONE: Record<string, string> = {
  delete: 'deleted',
  mute: 'muted',
  ban: 'banned',
  shadow: 'hid the comments of',
  pardon: 'pardoned',
  slow: 'set the time between comments to',
  links: 'switched links',
  words: 'set the blocked words:',
  pin: 'pinned',
  demote: 'took back the badge of',
  undo: 'took back what was done by',
}

export function deed({ what, target }: Pick<LogEntry, 'what' | 'target'>): string {
  if (what === 'pin' && target === 'none') return 'unpinned the comment'
  return `${DONE[what] ?? what} ${target}`
}
