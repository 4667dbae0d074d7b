/** The fleet at a glance: a count for each standing, as a filter; buttons for the next that waits, and to stop all. */
import { batch } from '@preact/signals';
import { live } from '../state/connection.ts';
import { show } from '../state/dialogs.ts';
import { attentionCount, counts } from '../state/fleet.ts';
import { open } from '../state/opened.ts';
import { nextWaiting, shownStandings } from '../state/order.ts';
import { STANDING_WORDS, type Standing } from '../state/standing.ts';
import { Icon } from './icon.tsx';
import { Mark } from './mark.tsx';

const SHORT_WORDS: Record<Standing, string> = { ...STANDING_WORDS, question: 'waiting' };

export function Fleet() {
  const shown = (Object.keys(counts.value) as Standing[]).filter(
    (standing) => counts.value[standing] > 0 || shownStandings.value.has(standing),
  );
  if (shown.length === 0) return null;
  return (
    <section class="fleet" aria-label="The fleet">
      <div class="fleet-counts">
        {shown.map((standing) => (
          <button
            key={standing}
            type="button"
            class="chip"
            data-standing={standing}
            aria-pressed={shownStandings.value.has(standing)}
            onClick={() => toggle(standing)}
          >
            <Mark standing={live.value ? standing : null} />
            <b>{counts.value[standing]}</b> {SHORT_WORDS[standing]}
          </button>
        ))}
      </div>
      {live.value && (attentionCount.value > 0 || counts.value.working > 0) && (
        <div class="fleet-actions">
          {attentionCount.value > 0 && (
            <button type="button" class="button small" aria-keyshortcuts="n" onClick={openNext}>
              <Icon name="next" /> Next <kbd>n</kbd>
            </button>
          )}
          {counts.value.working > 0 && (
            <button type="button" class="button small ghost" onClick={() => show('stop-all')}>
              <Icon name="stop" /> Stop all
            </button>
          )}
        </div>
      )}
    </section>
  );
}

function openNext(): void {
  const id = nextWaiting();
  if (id !== null) open(id);
}

function toggle(standing: Standing): void {
  batch(() => {
    const next = new Set(shownStandings.peek());
    if (!next.delete(standing)) next.add(standing);
    shownStandings.value = next;
  });
}
