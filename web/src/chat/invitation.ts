/** A moderator's invitation in the page's address: `#moderate=TOKEN`. Fragments are not sent with requests. */

const PREFIX = '#moderate='

/** Takes the invitation out of the address, so that the link that is shared on does not carry it. */
export function invitationFromAddress(): string | undefined {
  if (!location.hash.startsWith(PREFIX)) return undefined
  const invitation = decodeURIComponent(location.hash.slice(PREFIX.length))
  history.replaceState(null, '', location.pathname + location.search)
  return invitation
}
