/** The parts of a comment's text that are shown differently. Text stays text: nothing of it ever becomes markup. */

export interface Piece {
  text: string
  kind: 'plain' | 'hashtag' | 'mention'
}

const MARKED = /(^|[^\p{L}\p{N}_&/])([#@][\p{L}\p{N}_][\p{L}\p{N}\p{M}_\u200c\u200d\u00b7]*)/gu

export function pieces(text: string): Piece[] {
  const found: Piece[] = []
  let end = 0
  for (const match of text.matchAll(MARKED)) {
    const [, before = '', marked = ''] = match
    const start = match.index + before.length
    if (start > end) found.push({ text: text.slice(end, start), kind: 'plain' })
    found.push({ text: marked, kind: marked.startsWith('#') ? 'hashtag' : 'mention' })
    end = start + marked.length
  }
  if (end < text.length) found.push({ text: text.slice(end), kind: 'plain' })
  return found
}
