/** Small drawings, in the colour of the text around them. They are decoration: the elements around them have names. */

const PATHS = {
  copy: 'M5.5 5.5v-3h8v8h-3M2.5 5.5h8v8h-8z',
  check: 'm3 8.5 3.5 3.5L13 4.5',
  chevron: 'm6 3.5 4.5 4.5L6 12.5',
  send: 'M8 13.5v-11M3.5 7 8 2.5 12.5 7',
  stop: 'M4 4h8v8H4z',
  attach: 'm13 7.5-5.2 5.2a3 3 0 0 1-4.3-4.3L9 2.9a2 2 0 0 1 2.9 2.9L6.5 11.200a1 1 0 0 1-1.500-1.500L10 4.900',
  close: 'm4 4 8 8m0-8-8 8',
  down: 'M8 2.500v11m4.500-4.500L8 13.500 3.500 9',
  terminal: 'm3 4.500 3.500 3.500L3 11.500M8.500 12H13',
  file: 'M4 1.500h5l3.500 3.500v9.500H4zM9 1.500V5h3.500',
  edit: 'm10.500 2.500 3 3-8 8-3.500.5.5-3.500z',
  search: 'M7 11.500a4.500 4.500 0 1 0 0-9 4.500 4.500 0 0 0 0 9zm3.300-1.200 3.200 3.200',
  tool: 'M10 2a4 4 0 0 0-3.800 5.200L2 11.400V14h2.600l4.200-4.200A4 4 0 0 0 14 6l-2.300 2.300-2-2L12 4a4 4 0 0 0-2-2z',
  thought: 'M8 2.500a4.500 4.500 0 0 0-2.500 8.200V12.500h5v-1.800A4.500 4.500 0 0 0 8 2.500zM6.500 14.500h3',
  question: 'M5.500 6a2.500 2.500 0 1 1 3.700 2.200C8.400 8.700 8 9.200 8 10m0 2.500v.01',
  warning: 'M8 2 1.500 13.500h13zM8 6.500v3m0 2v.01',
  steer: 'M2.500 8h8M7.500 4.500 11 8l-3.500 3.500M13.500 3v10',
  repeat: 'M13 8a5 5 0 1 1-1.500-3.500M13 2v3h-3',
  trash: 'M2.500 4.500h11M6 4.500v-2h4v2m-5.500 0 .5 9h6l.5-9',
} as const;

export type IconName = keyof typeof PATHS;

export function Icon({ name }: { name: IconName }) {
  return (
    <svg class="glyph" viewBox="0 0 16 16" width="16" height="16" aria-hidden="true">
      <path d={PATHS[name]} />
    </svg>
  );
}
