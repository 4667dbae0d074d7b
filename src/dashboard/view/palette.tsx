/** The palette: every action and every agent, by a few letters. */
import { useId, useMemo, useRef, useState } from 'preact/hooks';
import { ACTIONS } from '../actions.ts';
import { visible } from '../chat/visible.ts';
import { keyInWords } from '../keys.ts';
import { hide } from '../state/dialogs.ts';
import { nodes, standing } from '../state/fleet.ts';
import { fit } from '../state/fuzzy.ts';
import { shortPath } from '../state/home.ts';
import { machineNameOf } from '../state/machines.ts';
import { here, isCutOff } from '../state/network.ts';
import { open } from '../state/opened.ts';
import { nameOf } from '../state/rows.ts';
import { rankOf, STANDING_WORDS } from '../state/standing.ts';
import { machineShownOf } from '../state/whereabouts.ts';
import { Dialog } from './dialog.tsx';
import { Icon } from './icon.tsx';
import { Mark } from './mark.tsx';

const MOST = 50;

interface Entry {
  id: string;
  label: string;
  hint: string;
  mark: preact.ComponentChildren;
  keys: readonly string[];
  run(): void;
}

function entriesFor(query: string): Entry[] {
  const actions = ACTIONS.filter(
    (action) => !action.keyOnly && action.id !== 'palette' && (action.available?.() ?? true),
  ).map(({ id, label, keys, run }): [string, Entry] => [
    label,
    { id: `action-${id}`, label, hint: '', mark: <Icon name="forward" />, keys, run },
  ]);
  const agents = [...nodes.peek().values()]
    .sort((a, b) => rankOf(standing(a)) - rankOf(standing(b)))
    .map((node): [string, Entry] => [
      `${nameOf(node)} ${node.cwd} ${machineNameOf(node, here.peek())}`,
      {
        id: `agent-${node.id}`,
        label: visible(nameOf(node)),
        hint: [isCutOff(node) ? null : STANDING_WORDS[standing(node)], machineShownOf(node, false), shortPath(node.cwd)]
          .filter((part) => part !== null)
          .map(visible)
          .join(' · '),
        mark: <Mark standing={standing(node)} />,
        keys: [],
        run: () => open(node.id),
      },
    ]);
  if (query === '') return [...agents.slice(0, 8), ...actions].map(([, entry]) => entry);
  return [...actions, ...agents]
    .flatMap(([text, entry]) => {
      const score = fit(query, text);
      return score === null ? [] : [{ score, entry }];
    })
    .sort((a, b) => b.score - a.score)
    .slice(0, MOST)
    .map(({ entry }) => entry);
}

export function Palette() {
  const [query, setQuery] = useState('');
  const [at, setAt] = useState(0);
  const list = useRef<HTMLDivElement>(null);
  const listId = useId();
  const entries = useMemo(() => entriesFor(query.trim()), [query]);
  const chosen = Math.min(at, entries.length - 1);
  const move = (to: number) => {
    setAt((to + entries.length) % entries.length);
    list.current?.children[(to + entries.length) % entries.length]?.scrollIntoView({ block: 'nearest' });
  };
  const run = (entry: Entry | undefined) => {
    if (entry === undefined) return;
    hide();
    entry.run();
  };
  return (
    <Dialog title="Command palette" size="wide" bare>
      <div class="palette">
        <input
          class="field palette-field"
          type="text"
          role="combobox"
          aria-expanded="true"
          aria-controls={listId}
          aria-activedescendant={entries[chosen] ? `${listId}-${chosen}` : undefined}
          aria-label="An agent or a command"
          placeholder="Go to an agent, or do something"
          autocomplete="off"
          spellcheck={false}
          autofocus
          value={query}
          onInput={(event) => {
            setQuery(event.currentTarget.value);
            setAt(0);
          }}
          onKeyDown={(event) => {
            if (event.isComposing) return;
            if (event.key === 'ArrowDown') move(chosen + 1);
            else if (event.key === 'ArrowUp') move(chosen - 1);
            else if (event.key === 'Enter') run(entries[chosen]);
            else return;
            event.preventDefault();
          }}
        />
        <div class="palette-list" role="listbox" id={listId} aria-label="What fits" ref={list}>
          {entries.map((entry, index) => (
            // biome-ignore lint/a11y/useKeyWithClickEvents: the field has the keys of the list
            <div
              key={entry.id}
              id={`${listId}-${index}`}
              role="option"
              tabIndex={-1}
              aria-selected={index === chosen}
              onPointerMove={() => setAt(index)}
              onClick={() => run(entry)}
            >
              {entry.mark}
              <bdi>{entry.label}</bdi>
              <bdi class="aside">{entry.hint}</bdi>
              {entry.keys.map((key) => (
                <kbd key={key}>{keyInWords(key)}</kbd>
              ))}
            </div>
          ))}
        </div>
        {entries.length === 0 && <p class="dialog-text aside">Nothing fits.</p>}
      </div>
    </Dialog>
  );
}
