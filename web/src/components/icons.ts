/** Line icons on a 24 × 24 grid, drawn for these pages. `fill` is painted, `line` is stroked. */

interface Shape {
  fill?: string
  line?: string
}

export const icons = {
  play: { fill: 'M8 5.2v13.6a.9.9 0 0 0 1.37.77l10.9-6.8a.9.9 0 0 0 0-1.54l-10.9-6.8A.9.9 0 0 0 8 5.2z' },
  pause: { fill: 'M7 5h3.4v14H7zM13.6 5H17v14h-3.4z' },
  sound: { fill: 'M4 9.2v5.6h3.6L12.4 19V5L7.6 9.2z', line: 'M15.6 9a4.2 4.2 0 0 1 0 6M18 6.4a8 8 0 0 1 0 11.2' },
  muted: { fill: 'M4 9.2v5.6h3.6L12.4 19V5L7.6 9.2z', line: 'M16 9.6l4.8 4.8M20.8 9.6 16 14.4' },
  fullscreen: { line: 'M4.5 9V4.5H9M15 4.5h4.5V9M19.5 15v4.5H15M9 19.5H4.5V15' },
  window: { line: 'M9 4.5V9H4.5M19.5 9H15V4.5M15 19.5V15h4.5M4.5 15H9v4.5' },
  pictureInPicture: { line: 'M20 10V6.5A1.5 1.5 0 0 0 18.5 5h-13A1.5 1.5 0 0 0 4 6.5v11A1.5 1.5 0 0 0 5.5 19H10', fill: 'M13 13h8v6.5h-8z' },
  gauge: { line: 'M4.6 17.5a8.8 8.8 0 1 1 14.8 0M12 14l3.8-4.6' },
  share: { line: 'M12 14.5V4M8 7.5 12 3.6l4 3.9M5 12.5v6A1.5 1.5 0 0 0 6.5 20h11a1.5 1.5 0 0 0 1.5-1.5v-6' },
  copy: { line: 'M9 8.5h9.5V20H9zM15 5.5V4H5.5v11.5H6.5' },
  done: { line: 'M5 12.5l4.6 4.5L19 7.5' },
  eye: { line: 'M2.8 12S6.2 5.8 12 5.8 21.2 12 21.2 12 17.8 18.2 12 18.2 2.8 12 2.8 12zM12 14.8a2.8 2.8 0 1 0 0-5.6 2.8 2.8 0 0 0 0 5.6z' },
  microphone: { fill: 'M9 5.8a3 3 0 0 1 6 0v5.4a3 3 0 0 1-6 0z', line: 'M5.5 11a6.5 6.5 0 0 0 13 0M12 17.5V21M8.5 21h7' },
  microphoneOff: {
    fill: 'M9 5.8a3 3 0 0 1 6 0v5.4a3 3 0 0 1-6 0z',
    line: 'M5.5 11a6.5 6.5 0 0 0 13 0M12 17.5V21M8.5 21h7M4 3.5l16 17',
  },
  camera: { fill: 'M4.8 6.5h8.9a1.8 1.8 0 0 1 1.8 1.8v7.4a1.8 1.8 0 0 1-1.8 1.8H4.8A1.8 1.8 0 0 1 3 15.7V8.3a1.8 1.8 0 0 1 1.8-1.8zM17 10.6l4-2.6v8l-4-2.6z' },
  cameraOff: {
    fill: 'M4.8 6.5h8.9a1.8 1.8 0 0 1 1.8 1.8v7.4a1.8 1.8 0 0 1-1.8 1.8H4.8A1.8 1.8 0 0 1 3 15.7V8.3a1.8 1.8 0 0 1 1.8-1.8zM17 10.6l4-2.6v8l-4-2.6z',
    line: 'M3.5 3.5l17 17',
  },
  flip: { line: 'M4.5 11.5a7.5 7.5 0 0 1 13-4.6l1.6 1.7M19.5 4.5v4.4h-4.4M19.5 12.5a7.5 7.5 0 0 1-13 4.6l-1.6-1.7M4.5 19.5v-4.4h4.4' },
  screen: { line: 'M4.5 5h15A1.5 1.5 0 0 1 21 6.5v8a1.5 1.5 0 0 1-1.5 1.5h-15A1.5 1.5 0 0 1 3 14.5v-8A1.5 1.5 0 0 1 4.5 5zM8 20h8M12 13V8.5M9.8 10.4 12 8.2l2.2 2.2' },
  stop: { fill: 'M7.5 6h9A1.5 1.5 0 0 1 18 7.5v9a1.5 1.5 0 0 1-1.5 1.5h-9A1.5 1.5 0 0 1 6 16.5v-9A1.5 1.5 0 0 1 7.5 6z' },
  down: { line: 'M6 9.5l6 6 6-6' },
} satisfies Record<string, Shape>

export type IconName = keyof typeof icons

export function shapeOf(name: IconName): Shape {
  return icons[name]
}
