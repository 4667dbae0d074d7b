/** The roster's pane: its title, the search, the fleet, and the rows. */

import { live } from '../state/connection.ts';
import { show } from '../state/dialogs.ts';
import { nodes } from '../state/fleet.ts';
import { query } from '../state/order.ts';
import { grouping } from '../state/prefs.ts';
import type { Grouping } from '../state/rows.ts';
import { Fleet } from './fleet.tsx';
import { Icon } from './icon.tsx';
import { MachinesButton } from './machines-button.tsx';
import { RosterList } from './roster.tsx';

const SEARCH_ID = 'roster-search';

export function focusSearch(): void {
  const field = document.getElementById(SEARCH_ID) as HTMLInputElement | null;
  field?.focus();
  field?.select();
}

export function RosterPane() {
  return (
    <nav class="pane roster" aria-label="Agents" data-live={live.value}>
      <header class="roster-header">
        <h1 class="brand">
          <Logo /> Pi-DE
        </h1>
        <MachinesButton />
        <button
          type="button"
          class="button ghost icon"
          aria-label="Open on a phone"
          title="Open on a phone"
          onClick={() => show('share')}
        >
          <Icon name="share" />
        </button>
        <button
          type="button"
          class="button ghost icon"
          aria-label="Settings"
          title="Settings"
          onClick={() => show('settings')}
        >
          <Icon name="settings" />
        </button>
        <button
          type="button"
          class="button primary icon"
          aria-label="Start an agent"
          title="Start an agent (a)"
          disabled={!live.value}
          onClick={() => show('spawn')}
        >
          <Icon name="plus" />
        </button>
      </header>
      {nodes.value.size > 0 && (
        <>
          <div class="roster-tools">
            <label class="search">
              <Icon name="search" />
              <span class="visually-hidden">Search agents</span>
              <input
                id={SEARCH_ID}
                type="search"
                class="field"
                placeholder="Search"
                autocomplete="off"
                spellcheck={false}
                value={query.value}
                onInput={(event) => (query.value = event.currentTarget.value)}
              />
              <span class="search-key" />
            </label>
            <label class="grouping" title="Group by">
              <span class="visually-hidden">Group by</span>
              <select
                class="field"
                value={grouping.value}
                onChange={(event) => (grouping.value = event.currentTarget.value as Grouping)}
              >
                <option value="project">Projects</option>
                <option value="machine">Machines</option>
                <option value="none">No groups</option>
              </select>
            </label>
          </div>
          <Fleet />
        </>
      )}
      <RosterList />
    </nav>
  );
}

function Logo() {
  return (
    <svg class="logo" viewBox="0 0 64 64" aria-hidden="true">
      <path d="M10 22q3-7 10-7h33M25 16c0 15-3 25-8 33M43 16c-1 14-2 22 0 27s5 6 9 3" />
    </svg>
  );
}
