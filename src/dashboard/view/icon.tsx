/** Icons, drawn on 16 by 16 with one stroke. Screen readers skip them: the elements around them have names. */

const PATHS = {
  search: 'M7 12A5 5 0 1 0 7 2a5 5 0 0 0 0 10Zm3.6-1.4L14 14',
  plus: 'M8 3v10M3 8h10',
  back: 'M10 3 5 8l5 5',
  forward: 'm6 3 5 5-5 5',
  down: 'm3.5 6 4.5 4.5L12.5 6',
  up: 'm3.5 10.5 4.5-4.5 4.5 4.5',
  close: 'm4 4 8 8M12 4l-8 8',
  panel: 'M2.5 3.5h11v9h-11zM10 3.5v9',
  settings: 'M2.5 5h6m4 0h1M2.5 11h1m4 0h6M10.5 3.2v3.6M5.5 9.2v3.6',
  share: 'M8 10V2.5m0 0L5.2 5.3M8 2.5l2.8 2.8M3.5 8v5h9V8',
  folder: 'M2 4.5v8h12v-7H8L6.5 4H2Z',
  home: 'M2.5 7.5 8 3l5.5 4.5M4 6.8v6.2h8V6.8',
  bell: 'M8 2.5a3.5 3.5 0 0 0-3.5 3.5c0 3-1.5 4-1.5 5h10c0-1-1.5-2-1.5-5A3.5 3.5 0 0 0 8 2.5ZM6.8 13.2a1.3 1.3 0 0 0 2.4 0',
  stop: 'M4.5 4.5h7v7h-7z',
  copy: 'M5.5 5.5h7v8h-7zM10.5 5.5v-3h-7v8h2',
  check: 'm3 8.5 3.3 3.3L13 4.8',
  keyboard: 'M1.5 4h13v8h-13zM4 6.5h.01M6.7 6.5h.01M9.3 6.5h.01M12 6.5h.01M5 9.5h6',
  next: 'M3 8h9m0 0L8.5 4.5M12 8l-3.5 3.5M14 3v10',
  machine: 'M2 3h12v7.5H2zM5.5 13h5M8 10.5V13',
  clock: 'M8 14A6 6 0 1 0 8 2a6 6 0 0 0 0 12Zm0-9.5V8l2.3 1.6',
  warning: 'M8 2.2 14.5 13.5h-13Zm0 4v3.2m0 2h.01',
  groups: 'M2.5 3.5h4v4h-4zM2.5 10h11M2.5 13h11M9 4h4.5M9 7h4.5',
} as const;

export type IconName = keyof typeof PATHS;

export function Icon({ name }: { name: IconName }) {
  return (
    <svg class="icon-drawing" viewBox="0 0 16 16" aria-hidden="true" focusable="false">
      <path d={PATHS[name]} />
    </svg>
  );
}
