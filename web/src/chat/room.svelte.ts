/** One viewer in one room: what is on the screen, and what the viewer does. */

import { Line, type LineState } from './connection.ts'
import type { Act, Comment, Event, LogEntry, Member, Rules } from './protocol.ts'
import { holdUntilSeen } from './timing.ts'

/** Comments that are kept on the page. */
const MAX_COMMENTS = 200
/** Comments to begin with. */
const LAST = 60
/** Taps are sent together so often, ms. */
const TAPS_MS = 250
/** How often it is looked whether a held comment's picture has come, ms. */
const HELD_MS = 200
/** Comments a second beyond which a screen reader would never fall silent. */
const CHATTY = 2
/** How long a note to the viewer stays, ms. */
const NOTE_MS = 6000
/** A silence that has no end of its own, s. */
const ENDLESS = 2 ** 31

export interface Burst {
  kind: string
  hue: number
  count: number
}

export interface Summons {
  case: number
  text: string
  /** When it is over, as `performance.now()`. */
  until: number
  seconds: number
}

/** A comment that the server has not accepted yet. */
export interface Sending {
  id: string
  text: string
  replyTo: Comment | null
}

export class ChatRoom {
  line = $state.raw<LineState>('connecting')
  me = $state.raw<Member | null>(null)
  comments = $state.raw<readonly Comment[]>([])
  sending = $state.raw<readonly Sending[]>([])
  pinned = $state.raw<Comment | null>(null)
  count = $state.raw(0)
  members = $state.raw<readonly Member[]>([])
  totalReactions = $state.raw(0)
  rules = $state.raw<Rules>({ slow: 0, links: true, open: false })
  reactions = $state.raw<readonly string[]>(['❤'])
  maxText = $state.raw(300)
  summons = $state.raw<Summons | null>(null)
  log = $state.raw<readonly LogEntry[] | null>(null)
  invitation = $state.raw<string | null>(null)
  /** Comments that somebody reported, for those who keep order. */
  reported = $state.raw<ReadonlySet<number>>(new Set())
  /** Something the viewer should know, for a moment. */
  note = $state.raw('')
  /** Until when one cannot talk, as `performance.now()`. */
  silentUntil = $state.raw(0)
  /** So fast that reading it aloud makes no sense. */
  chatty = $state.raw(false)
  /** Called for hearts to rise. */
  onBurst: (burst: Burst) => void = () => {}

  readonly moderates = $derived(this.me?.role === 'moderator' || this.me?.role === 'broadcaster')

  readonly #line: Line
  /** The server's wall clock at the picture on the screen, Unix ms; null while unknown. */
  readonly #pictureClock: () => number | null
  #beganAt: number | null = null
  #epoch: number | undefined
  #seq: number | undefined
  #invite: string | undefined
  #held: Comment[] = []
  #taps = new Map<string, number>()
  /** Own reactions that rose already and will be told by the server once more. */
  #risen = new Map<string, number>()
  #tapping: ReturnType<typeof setTimeout> | undefined
  #holding: ReturnType<typeof setInterval> | undefined
  #forgetting: ReturnType<typeof setTimeout> | undefined
  #judging: ReturnType<typeof setTimeout> | undefined
  #arrivals: number[] = []
  #answers = new Map<string, (event: Event) => void>()

  /**
   * @param pictureClock the server's wall clock at the picture on the screen.
   * @param invite a moderator's invitation from the page's address.
   */
  constructor(channel: string, pictureClock: () => number | null = () => null, invite?: string) {
    this.#pictureClock = pictureClock
    this.#invite = invite
    const hello = () => ({
      last: LAST,
      ...(this.#seq !== undefined && { after: this.#seq }),
      ...(this.#epoch !== undefined && { epoch: this.#epoch }),
      ...(this.#invite !== undefined && { invite: this.#invite }),
    })
    this.#line = new Line(channel, hello, {
      event: (event) => this.#received(event),
      state: (state) => (this.line = state),
    })
  }

  start(): void {
    this.#holding = setInterval(() => this.#look(), HELD_MS)
    void this.#line.start()
  }

  stop(): void {
    clearInterval(this.#holding)
    clearTimeout(this.#tapping)
    clearTimeout(this.#forgetting)
    clearTimeout(this.#judging)
    this.#line.stop()
  }

  say(text: string, replyTo: Comment | null): void {
    const id = newId()
    this.sending = [...this.sending, { id, text, replyTo }]
    const time = this.#mediaTime()
    const request = {
      type: 'comment',
      text,
      ...(time !== null && { time_ns: Math.round(time * 1e6) }),
      ...(replyTo && { reply_to: replyTo.seq }),
    }
    this.#ask(id, request, (event) => {
      this.sending = this.sending.filter((waiting) => waiting.id !== id)
      if (event.type === 'refused') this.tell(words(event))
    })
  }

  react(kind: string): void {
    if (!this.me || this.line !== 'open') return
    this.#taps.set(kind, (this.#taps.get(kind) ?? 0) + 1)
    this.#risen.set(kind, (this.#risen.get(kind) ?? 0) + 1)
    this.onBurst({ kind, hue: this.me.hue, count: 1 })
    this.#tapping ??= setTimeout(() => {
      this.#tapping = undefined
      for (const [tapped, count] of this.#taps) this.#line.send({ type: 'react', kind: tapped, count })
      this.#taps.clear()
    }, TAPS_MS)
  }

  /** Takes another name; resolves to why not, or to nothing. */
  rename(name: string): Promise<string> {
    return this.#answered({ type: 'name', name })
  }

  async report(comment: Comment): Promise<void> {
    const refused = await this.#answered({ type: 'report', comment: comment.seq })
    this.tell(refused || 'Thank you. Five viewers are asked what they think.')
  }

  vote(guilty: boolean): void {
    if (!this.summons) return
    this.#line.send({ type: 'vote', case: this.summons.case, guilty })
    this.summons = null
    this.tell('Thank you for your judgement.')
  }

  async moderate(act: Act, done: string): Promise<void> {
    const refused = await this.#answered({ type: 'moderate', act })
    this.tell(refused || done)
    if (this.log !== null) this.openLog()
  }

  openLog(): void {
    this.#ask(newId(), { type: 'audit' }, (event) => {
      if (event.type === 'audit') this.log = event.entries
    })
  }

  closeLog(): void {
    this.log = null
  }

  invite(): void {
    this.#ask(newId(), { type: 'invite' }, (event) => {
      if (event.type === 'invite') this.invitation = event.token
      else if (event.type === 'refused') this.tell(event.message)
    })
  }

  tell(note: string): void {
    this.note = note
    clearTimeout(this.#forgetting)
    this.#forgetting = setTimeout(() => (this.note = ''), NOTE_MS)
  }

  #answered(request: object): Promise<string> {
    return new Promise((resolve) => {
      this.#ask(newId(), request, (event) => resolve(event.type === 'refused' ? words(event) : ''))
    })
  }

  #ask(id: string, request: object, answer: (event: Event) => void): void {
    this.#answers.set(id, answer)
    this.#line.ask(id, request)
  }

  /** Media time of the picture on the screen, ms; null while unknown. */
  #mediaTime(): number | null {
    const clock = this.#pictureClock()
    return clock === null || this.#beganAt === null ? null : Math.max(0, clock - this.#beganAt)
  }

  #received(event: Event): void {
    // A deletion that is told ahead of its turn has no number.
    if ('seq' in event && typeof event.seq === 'number' && (event.seq > 0 || event.type === 'welcome')) this.#seq = event.seq
    switch (event.type) {
      case 'welcome': {
        const { you, rules: _, ...rest } = { ...event, rules: null }
        this.me = you
        this.#invite = undefined
        this.#epoch = event.epoch
        this.#beganAt = event.beganAt
        this.count = rest.count
        this.members = event.members
        this.rules = { slow: event.slow, links: event.links, open: event.open }
        this.reactions = event.reactions
        this.totalReactions = event.totalReactions
        this.maxText = event.maxText
        this.pinned = event.pinned
        if (event.reset) {
          this.comments = event.comments
          this.#held = []
        }
        break
      }
      case 'comment':
        this.#seq = event.comment.seq
        this.#arrivals.push(performance.now())
        if (this.#isDue(event.comment) && this.#held.length === 0) this.#show([event.comment])
        else this.#held.push(event.comment)
        break
      case 'deleted':
        this.comments = this.comments.filter(({ seq }) => seq !== event.comment)
        this.#held = this.#held.filter(({ seq }) => seq !== event.comment)
        break
      case 'restored':
        this.comments = [...this.comments.filter(({ seq }) => seq !== event.comment.seq), event.comment].sort(
          (one, other) => one.seq - other.seq,
        )
        break
      case 'pinned':
        this.pinned = event.comment
        break
      case 'rules':
        this.rules = { slow: event.slow, links: event.links, open: event.open }
        break
      case 'presence': {
        this.count = event.count
        const gone = new Set([...event.left, ...event.joined.map(({ user }) => user)])
        this.members = [...this.members.filter(({ user }) => !gone.has(user)), ...event.joined]
        break
      }
      case 'reactions':
        this.totalReactions = event.total
        for (const burst of event.counts) this.#rise(burst)
        break
      case 'you':
        if (this.me && event.you.role !== this.me.role) this.tell(roleWords(event.you.role))
        this.me = event.you
        break
      case 'silence':
        this.silentUntil = event.seconds === 0 ? 0 : performance.now() + event.seconds * 1000
        this.tell(silenceWords(event.seconds, event.by))
        break
      case 'summons':
        this.summons = { ...event, until: performance.now() + event.seconds * 1000 }
        clearTimeout(this.#judging)
        this.#judging = setTimeout(() => (this.summons = null), event.seconds * 1000)
        break
      case 'verdict':
        if (this.summons?.case === event.case) this.summons = null
        this.tell(event.guilty ? 'The jury has spoken: muted.' : 'The jury has spoken: no offence.')
        break
      case 'reported':
        this.reported = new Set([...this.reported, event.comment].slice(-50))
        break
      case 'bye':
        if (event.code === 'banned') this.tell('You were banned from this room.')
        break
      default:
    }
    if ('id' in event && event.id) {
      this.#answers.get(event.id)?.(event)
      this.#answers.delete(event.id)
    } else if (event.type === 'refused') {
      this.tell(words(event))
    }
  }

  /** Own hearts have risen at the tap. */
  #rise({ kind, hue, count }: Burst): void {
    const own = hue === this.me?.hue ? Math.min(count, this.#risen.get(kind) ?? 0) : 0
    if (own > 0) this.#risen.set(kind, (this.#risen.get(kind) ?? 0) - own)
    if (count > own) this.onBurst({ kind, hue, count: count - own })
  }

  #isDue(comment: Comment): boolean {
    return comment.user === this.me?.user || !holdUntilSeen(comment, this.#mediaTime(), performance.now())
  }

  #look(): void {
    const now = performance.now()
    this.#arrivals = this.#arrivals.filter((at) => now - at < 5000)
    this.chatty = this.#arrivals.length > CHATTY * 5
    if (this.#held.length === 0) return
    const due = this.#held.findIndex((comment) => !this.#isDue(comment))
    const count = due === -1 ? this.#held.length : due
    if (count > 0) this.#show(this.#held.splice(0, count))
  }

  #show(comments: Comment[]): void {
    this.comments = [...this.comments, ...comments].slice(-MAX_COMMENTS)
  }
}

function newId(): string {
  // `randomUUID` is for secure pages only.
  return Array.from(crypto.getRandomValues(new Uint32Array(4)), (part) => part.toString(36)).join('-')
}

function words({ code, message, retryMs }: { code: string; message: string; retryMs: number | null }): string {
  const wait = retryMs === null ? '' : ` Try again in ${Math.max(1, Math.ceil(retryMs / 1000))} s.`
  const told: Record<string, string> = {
    rate_limited: 'Slow down a little.',
    slow_mode: 'The room is in slow mode.',
    duplicate: 'That has just been said.',
    links: 'Links are not welcome here.',
    blocked_word: 'This room does not want to read one of these words.',
    muted: 'You are muted.',
    closed: 'The room opens when the broadcast begins.',
  }
  const text = told[code] ?? `${message.charAt(0).toUpperCase()}${message.slice(1)}.`
  return text + wait
}

function silenceWords(seconds: number, by: string): string {
  if (seconds === 0) return 'You can talk again.'
  const who = by === 'jury' ? 'Five viewers found' : 'A moderator found'
  const long = seconds >= ENDLESS ? 'until the broadcast ends' : `for ${seconds} s`
  return `${who} that you should listen ${long}.`
}

function roleWords(role: Member['role']): string {
  return role === 'moderator' ? 'You are a moderator now. Thank you!' : 'Your role has changed.'
}
