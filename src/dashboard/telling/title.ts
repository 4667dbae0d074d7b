/** The tab's title and icon: agents that need somebody come before agents that work. */
import { effect } from '@preact/signals';
import { visible } from '../chat/visible.ts';
import { coalesced } from '../platform/frame.ts';
import { live } from '../state/connection.ts';
import { attentionCount, counts, openNode } from '../state/fleet.ts';
import { nameOf } from '../state/rows.ts';

/** Changing a title is slow in browsers, so it may be late by this much. */
const TITLE_GAP_MS = 300;

export function keepTitle(): void {
  let title = '';
  const set = coalesced(() => {
    if (document.title !== title) document.title = title;
  }, TITLE_GAP_MS);
  effect(() => {
    const name = openNode.value === null ? '' : `${visible(nameOf(openNode.value))} · `;
    const attention = attentionCount.value;
    const mark = !live.value ? '' : attention > 0 ? `(${attention}) ` : counts.value.working > 0 ? '▸ ' : '';
    title = `${mark}${name}Pi-DE`;
    set();
  });
  let shown = '';
  effect(() => {
    const kind = !live.value
      ? 'gone'
      : counts.value.question > 0
        ? 'waiting'
        : counts.value.failed > 0
          ? 'failed'
          : counts.value.finished > 0
            ? 'done'
            : counts.value.working > 0
              ? 'working'
              : 'idle';
    if (kind === shown) return;
    shown = kind;
    const link = document.querySelector<HTMLLinkElement>('link[rel="icon"]');
    if (link !== null) link.href = iconWith(DOTS[kind]);
  });
}

const DOTS = {
  gone: '#79818f',
  waiting: '#f2b84b',
  failed: '#ff6b5e',
  done: '#5c9bff',
  working: '#45c993',
  idle: null,
} as const;

function iconWith(dot: string | null): string {
  const mark = dot === null ? '' : `<circle cx="50" cy="14" r="13" fill="${dot}" stroke="#171a21" stroke-width="4"/>`;
  const svg = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 64 64"><rect width="64" height="64" rx="15" fill="#171a21"/><path d="M14 24q3-6 9-6h28M26 19c0 13-2 21-6 28M41 19c-1 12-1 19 0 23s4 5 8 3" fill="none" stroke="#e8eaf0" stroke-width="6" stroke-linecap="round"/>${mark}</svg>`;
  return `data:image/svg+xml,${encodeURIComponent(svg)}`;
}
