/** Images for tests. */

import { crc32, deflateSync } from 'node:zlib'

/** A PNG of one colour: red, green and blue, 0 to 255. */
export function png(width: number, height: number, colour: readonly [number, number, number]): Uint8Array<ArrayBuffer> {
  const chunk = (name: string, data: Uint8Array) => {
    const body = Buffer.concat([Buffer.from(name, 'latin1'), data])
    const [length, sum] = [data.length, crc32(body)].map((number) => {
      const word = Buffer.alloc(4)
      word.writeUInt32BE(number)
      return word
    })
    return Buffer.concat([length!, body, sum!])
  }
  const header = Buffer.alloc(13)
  header.writeUInt32BE(width, 0)
  header.writeUInt32BE(height, 4)
  // Eight bits, red, green and blue.
  header.set([8, 2], 8)
  const row = [0, ...Array.from({ length: width }, () => colour).flat()]
  const rows = Buffer.from(Array.from({ length: height }, () => row).flat())
  const signature = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a])
  return new Uint8Array(
    Buffer.concat([signature, chunk('IHDR', header), chunk('IDAT', deflateSync(rows)), chunk('IEND', Buffer.alloc(0))]),
  )
}
