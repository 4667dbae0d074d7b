/** The folders of the spawn dialog: by click and by keys, from the home folder down. */
import { useEffect, useState } from 'preact/hooks';
import type { Result } from '../../protocol/registry.ts';
import { visible } from '../chat/visible.ts';
import { crumbsOf, join, newFolderProblem } from '../state/browse.ts';
import { Icon } from './icon.tsx';

interface SpawnFoldersProps {
  home: string;
  listing: Result<'list_directories'>;
  browse(path: string): void;
  newFolder: string;
  onNewFolder(name: string): void;
}

const FILTER_ID = 'spawn-filter';

export const focusFilter = () => document.getElementById(FILTER_ID)?.focus();

export function SpawnFolders({ home, listing, browse, newFolder, onNewFolder }: SpawnFoldersProps) {
  const [filter, setFilter] = useState('');
  useEffect(() => {
    setFilter('');
    // Unless that brings up a keyboard on the screen, or somebody is choosing a machine by keys.
    if (matchMedia('(pointer: coarse)').matches || document.activeElement?.closest('.spawn-machines')) return;
    focusFilter();
  }, [listing]);
  const crumbs = crumbsOf(home, listing.current);
  const shown = listing.directories.filter((name) => name.toLowerCase().includes(filter.toLowerCase()));
  const problem = newFolderProblem(newFolder);
  return (
    <>
      <ol class="crumbs" aria-label="Where you are">
        {crumbs.map(({ name, path }, index) => (
          <li key={path}>
            <button
              type="button"
              class="button ghost small"
              aria-current={index === crumbs.length - 1 ? 'location' : undefined}
              aria-label={name === '~' ? 'Home folder' : undefined}
              onClick={() => browse(path)}
            >
              {name === '~' ? <Icon name="home" /> : <bdi>{visible(name)}</bdi>}
            </button>
          </li>
        ))}
      </ol>
      <input
        id={FILTER_ID}
        class="field"
        type="text"
        placeholder="Filter; ↓ to the folders, ← up"
        aria-label="Filter folders"
        autocomplete="off"
        spellcheck={false}
        value={filter}
        onInput={(event) => setFilter(event.currentTarget.value)}
        onKeyDown={(event) => {
          const up = crumbs.at(-2);
          if (event.key === 'Enter') {
            // Opens the first of the folders that fit the filter.
            event.preventDefault();
            if (filter !== '' && shown[0] !== undefined) browse(join(listing.current, shown[0]));
          } else if (event.key === 'ArrowLeft' && filter === '' && up !== undefined) {
            event.preventDefault();
            browse(up.path);
          } else if (event.key === 'ArrowDown') {
            event.preventDefault();
            document.querySelector<HTMLElement>('.folders button')?.focus();
          }
        }}
      />
      <ul class="folders" aria-label={`Folders in ${listing.current}`}>
        {shown.map((name) => (
          <li key={name}>
            <button
              type="button"
              onClick={() => browse(join(listing.current, name))}
              onKeyDown={(event) => moveAmongFolders(event, () => browse(crumbs.at(-2)?.path ?? listing.current))}
            >
              <Icon name="folder" />
              <bdi>{visible(name)}</bdi>
              <Icon name="forward" />
            </button>
          </li>
        ))}
        {shown.length === 0 && (
          <li class="aside folders-none">{listing.directories.length === 0 ? 'No folders in here.' : 'None fits.'}</li>
        )}
      </ul>
      <label class="labelled">
        <span>New folder here</span>
        <input
          class="field"
          type="text"
          placeholder="none"
          autocomplete="off"
          spellcheck={false}
          aria-invalid={problem !== null}
          value={newFolder}
          onInput={(event) => onNewFolder(event.currentTarget.value)}
        />
        {problem !== null && <small class="form-error">{problem}</small>}
      </label>
    </>
  );
}

function moveAmongFolders(event: KeyboardEvent & { currentTarget: HTMLElement }, up: () => void): void {
  const item = event.currentTarget.parentElement;
  if (event.key === 'ArrowDown') item?.nextElementSibling?.querySelector('button')?.focus();
  else if (event.key === 'ArrowUp') {
    const before = item?.previousElementSibling?.querySelector('button');
    if (before) before.focus();
    else document.querySelector<HTMLElement>('.spawn-folders .field')?.focus();
  } else if (event.key === 'ArrowRight') event.currentTarget.click();
  else if (event.key === 'ArrowLeft') up();
  else return;
  event.preventDefault();
}
