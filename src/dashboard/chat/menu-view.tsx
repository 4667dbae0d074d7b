import { useLayoutEffect, useRef } from 'preact/hooks';
import type { Choice } from './menu.ts';
import { visible } from './visible.ts';

interface MenuProps {
  choices: readonly Choice[];
  chosen: number;
  loading: boolean;
  label: string;
  take(choice: Choice): void;
}

/** A list above the composer, never higher than there is room. */
export function Menu({ choices, chosen, loading, label, take }: MenuProps) {
  const list = useRef<HTMLDivElement>(null);
  useLayoutEffect(() => {
    const element = list.current;
    if (element === null) return;
    const room = element.getBoundingClientRect().bottom - (visualViewport?.offsetTop ?? 0) - 8;
    element.style.maxHeight = `${Math.max(88, Math.min(room, 320))}px`;
    element.querySelector('[aria-selected=true]')?.scrollIntoView({ block: 'nearest' });
  });
  return (
    <div class="menu" id="composer-menu" role="listbox" aria-label={label} ref={list}>
      {loading && choices.length === 0 && (
        <div class="soft" role="option" tabIndex={-1} aria-selected={false} aria-disabled="true">
          Loading …
        </div>
      )}
      {choices.map((choice, index) => (
        // biome-ignore lint/a11y/useKeyWithClickEvents: the text field has the focus, and handles the keys
        <div
          key={choice.label}
          id={`choice-${index}`}
          role="option"
          tabIndex={-1}
          aria-selected={index === chosen}
          onMouseDown={(event) => event.preventDefault()}
          onClick={() => take(choice)}
        >
          <span class="choice-label">{visible(choice.label)}</span>
          {choice.hint !== '' && <span class="soft">{visible(choice.hint)}</span>}
        </div>
      ))}
    </div>
  );
}
