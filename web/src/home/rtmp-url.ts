/** Where RTMP goes: the well-known port is left out, an IPv6 address keeps its brackets. */
export function rtmpUrl(hostname: string, port: number | null): string {
  return `rtmp://${hostname}${port === null || port === 1935 ? '' : `:${port}`}/live`
}
