/** What is said of a viewer's consent to be spoken of as more than an audience of this channel, and what follows. Pure. */

/** `silent`: whoever was asked has nothing to say of it. */
export type Word = 'given' | 'refused' | 'silent'

/** Whether there is consent, by all who have said something: one refusal outweighs every consent, and nobody's word is none. */
export function isConsent(words: readonly Word[]): boolean {
  return words.includes('given') && !words.includes('refused')
}

/** The embedder's own word, which it puts into the page's address. @param search of the address. */
export function embeddersWord(search: string): Word {
  const word = new URLSearchParams(search).get('consent')
  if (word === '1') return 'given'
  return word === '0' ? 'refused' : 'silent'
}
