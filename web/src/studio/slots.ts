/** What the studio tells of a channel's slots: read from the API, put into words. */

/** A cue as the studio shows it. */
export interface Cue {
  id: string
  /** Nothing more comes of it. */
  over: boolean
  /** When it was opened, ms since the Unix epoch. */
  openedAt: number
  /** What the broadcaster reads. */
  words: string
}

const STAGES: Record<string, string> = {
  announced: 'Announced',
  deciding: 'Being sold',
  sold: 'Sold, about to begin',
  on_air: 'On the air',
}

const OUTCOMES: Record<string, string> = {
  completed: 'Shown',
  cut_short: 'Shown, and ended early',
  not_shown: 'Sold, but could not be shown',
  no_audience: 'Nobody was watching',
  no_bid: 'Nobody wanted it',
  no_place: 'No overlay could be drawn',
  late: 'Too late to be sold',
  unkept: 'Could not be sold',
  failed: 'Could not be sold',
  withdrawn: 'Withdrawn',
  broadcast_ended: 'The broadcast ended before',
}

/** Where cues come from, beside the broadcaster's own button. */
const ORIGINS: Record<string, string> = {
  publisher: 'by your encoder',
  api: 'by the operator',
  schedule: 'by the schedule',
  engagement: 'by your audience',
}

/** Reads the newest cues; nothing of what is odd. */
export function readCues(body: unknown): Cue[] {
  const cues = field(body, 'cues')
  if (!Array.isArray(cues)) return []
  return cues.map(readCue).filter((cue) => cue !== null)
}

function readCue(cue: unknown): Cue | null {
  const [id, stage, openedAt] = [field(cue, 'id'), field(cue, 'stage'), field(cue, 'opened_at')]
  if (typeof id !== 'string' || typeof stage !== 'string' || typeof openedAt !== 'number') return null
  const over = stage === 'over'
  const outcome = field(field(cue, 'outcome'), 'what')
  const state = over ? OUTCOMES[String(outcome)] : STAGES[stage]
  const origin = ORIGINS[String(field(cue, 'origin'))]
  return { id, over, openedAt, words: [state ?? stage, origin].filter(Boolean).join(', ') }
}

function field(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>)[name] : undefined
}
