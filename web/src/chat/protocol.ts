/** What the page and a room say to each other: `docs/comments.md`. Answers are checked; what is odd is left out. */

export const VERSION = 1

export type Role = 'guest' | 'member' | 'moderator' | 'broadcaster'

export interface Comment {
  seq: number
  user: string
  name: string
  role: Role
  /** A step of 24 around the colour wheel. */
  hue: number
  text: string
  /** The media time that the author was seeing, ns; null while nothing was on the air. */
  timeNs: number | null
  /** Unix milliseconds. */
  at: number
  replyTo: Quote | null
  mentions: readonly string[]
  /** Only moderators see it. */
  shadowed: boolean
}

export interface Quote {
  seq: number
  user: string
  name: string
  text: string
}

export interface Member {
  user: string
  name: string
  role: Role
  hue: number
}

export interface Rules {
  /** Seconds between two comments of one person. */
  slow: number
  links: boolean
  open: boolean
}

export interface LogEntry {
  entry: number
  at: number
  by: string
  what: string
  target: string
  reason: string
  undoneBy: string | null
}

export type Act =
  | { do: 'delete'; comment: number }
  | { do: 'mute'; user: string; seconds?: number }
  | { do: 'ban'; user: string; scope: 'user' | 'network'; seconds?: number }
  | { do: 'shadow'; user: string }
  | { do: 'pardon'; user: string }
  | { do: 'slow'; seconds: number }
  | { do: 'links'; allowed: boolean }
  | { do: 'words'; blocked: string[] }
  | { do: 'pin'; comment: number | null }
  | { do: 'undo'; entry: number }

export interface Welcome extends Rules {
  epoch: number
  seq: number
  you: Member
  reset: boolean
  count: number
  members: Member[]
  reactions: string[]
  totalReactions: number
  maxText: number
  pinned: Comment | null
  /** The wall clock at media time zero, Unix ms. */
  beganAt: number | null
  comments: Comment[]
}

export type Event =
  | ({ type: 'welcome' } & Welcome)
  | { type: 'comment'; comment: Comment }
  | { type: 'deleted'; seq: number; comment: number }
  | { type: 'restored'; seq: number; comment: Comment }
  | { type: 'pinned'; seq: number; comment: Comment | null }
  | ({ type: 'rules'; seq: number } & Rules)
  | { type: 'presence'; count: number; joined: Member[]; left: string[] }
  | { type: 'reactions'; counts: { kind: string; hue: number; count: number }[]; total: number }
  | { type: 'accepted'; id: string }
  | { type: 'refused'; id: string | null; code: string; message: string; retryMs: number | null }
  | { type: 'you'; you: Member }
  | { type: 'silence'; seconds: number; by: string }
  | { type: 'summons'; case: number; text: string; seconds: number }
  | { type: 'verdict'; case: number; comment: number; guilty: boolean }
  | { type: 'reported'; comment: number; jury: boolean }
  | { type: 'audit'; id: string; entries: LogEntry[] }
  | { type: 'invite'; id: string; token: string }
  | { type: 'lagged' }
  | { type: 'bye'; code: string; reconnect: boolean }

type Fields = Record<string, unknown>

/** Reads one message; null when it is none that this page knows. */
export function parseEvent(json: string): Event | null {
  let value: unknown
  try {
    value = JSON.parse(json)
  } catch {
    return null
  }
  if (!isFields(value)) return null
  const seq = integer(value.seq)
  switch (value.type) {
    case 'welcome':
      return { type: 'welcome', ...welcome(value) }
    case 'comment': {
      const comment = parseComment(value)
      return comment && { type: 'comment', comment }
    }
    case 'deleted':
      return { type: 'deleted', seq, comment: integer(value.comment) }
    case 'restored': {
      const comment = parseComment(value.comment)
      return comment && { type: 'restored', seq, comment }
    }
    case 'pinned':
      return { type: 'pinned', seq, comment: parseComment(value.comment) }
    case 'rules':
      return { type: 'rules', seq, ...rules(value) }
    case 'presence':
      return { type: 'presence', count: integer(value.count), joined: members(value.joined), left: texts(value.left) }
    case 'reactions': {
      const counts = list(value.counts).filter(isFields)
      return {
        type: 'reactions',
        counts: counts.map(({ kind, hue, count }) => ({ kind: text(kind), hue: integer(hue), count: integer(count) })),
        total: integer(value.total),
      }
    }
    case 'accepted':
      return { type: 'accepted', id: text(value.id) }
    case 'refused':
      return {
        type: 'refused',
        id: typeof value.id === 'string' ? value.id : null,
        code: text(value.code),
        message: text(value.message),
        retryMs: typeof value.retry_ms === 'number' ? value.retry_ms : null,
      }
    case 'you':
      return { type: 'you', you: member(value) }
    case 'silence':
      return { type: 'silence', seconds: integer(value.seconds), by: text(value.by) }
    case 'summons':
      return { type: 'summons', case: integer(value.case), text: text(value.text), seconds: integer(value.seconds) }
    case 'verdict':
      return { type: 'verdict', case: integer(value.case), comment: integer(value.comment), guilty: value.guilty === true }
    case 'reported':
      return { type: 'reported', comment: integer(value.comment), jury: value.jury === true }
    case 'audit':
      return { type: 'audit', id: text(value.id), entries: list(value.entries).filter(isFields).map(logEntry) }
    case 'invite':
      return { type: 'invite', id: text(value.id), token: text(value.token) }
    case 'lagged':
      return { type: 'lagged' }
    case 'bye':
      return { type: 'bye', code: text(value.code), reconnect: value.reconnect === true }
    default:
      return null
  }
}

function welcome(value: Fields): Welcome {
  return {
    ...rules(value),
    epoch: integer(value.epoch),
    seq: integer(value.seq),
    you: member(isFields(value.you) ? value.you : {}),
    reset: value.reset === true,
    count: integer(value.count),
    members: members(value.members),
    reactions: texts(value.reactions),
    totalReactions: integer(value.total_reactions),
    maxText: integer(value.max_text),
    pinned: parseComment(value.pinned),
    beganAt: typeof value.began_at === 'number' ? value.began_at : null,
    comments: list(value.comments).map(parseComment).filter((comment) => comment !== null),
  }
}

function parseComment(value: unknown): Comment | null {
  if (!isFields(value) || typeof value.seq !== 'number' || typeof value.text !== 'string') return null
  const quote = value.reply_to
  return {
    ...member(value),
    seq: value.seq,
    text: value.text,
    timeNs: typeof value.time_ns === 'number' ? value.time_ns : null,
    at: integer(value.at),
    replyTo: isFields(quote)
      ? { seq: integer(quote.seq), user: text(quote.user), name: text(quote.name), text: text(quote.text) }
      : null,
    mentions: texts(value.mentions),
    shadowed: value.shadowed === true,
  }
}

function logEntry(value: Fields): LogEntry {
  const act = isFields(value.act) ? value.act : {}
  return {
    entry: integer(value.entry),
    at: integer(value.at),
    by: text(value.by),
    what: text(act.do),
    target: text(value.target),
    reason: text(value.reason),
    undoneBy: typeof value.undone_by === 'string' ? value.undone_by : null,
  }
}

function rules(value: Fields): Rules {
  return { slow: integer(value.slow), links: value.links !== false, open: value.open === true }
}

function members(value: unknown): Member[] {
  return list(value).filter(isFields).map(member)
}

function member(value: Fields): Member {
  const role = value.role
  const known = role === 'member' || role === 'moderator' || role === 'broadcaster'
  return { user: text(value.user), name: text(value.name), role: known ? role : 'guest', hue: integer(value.hue) }
}

function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function list(value: unknown): unknown[] {
  return Array.isArray(value) ? value : []
}

function texts(value: unknown): string[] {
  return list(value).filter((item) => typeof item === 'string')
}

function text(value: unknown): string {
  return typeof value === 'string' ? value : ''
}

function integer(value: unknown): number {
  return typeof value === 'number' && Number.isFinite(value) ? value : 0
}
