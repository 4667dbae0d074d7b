/** Starts an agent: choose a folder, say what it is to do, and watch it come up, or read why it does not. */
import { useEffect, useRef, useState } from 'preact/hooks';
import type { PastSession, Result, SpawnParams, SpawnStatus } from '../../protocol/registry.ts';
import { visible } from '../chat/visible.ts';
import { RequestError } from '../link/registry-link.ts';
import { crumbsOf, join, newFolderProblem } from '../state/browse.ts';
import { daemonNow, listen, live, request } from '../state/connection.ts';
import { hide } from '../state/dialogs.ts';
import { nodes } from '../state/fleet.ts';
import { duration } from '../state/format.ts';
import { open } from '../state/opened.ts';
import { Dialog } from './dialog.tsx';
import { Icon } from './icon.tsx';

type Listing = Result<'list_directories'>;

/** Without `spawn_id` an agent is known by its folder, so long after it was started. */
const LONG_MS = 30_000;
const POLL_MS = 2000;

export function Spawn() {
  const [started, setStarted] = useState<Started | null>(null);
  return (
    <Dialog title={started === null ? 'Start an agent' : 'Starting'} size="wide">
      {started === null ? <Choose onStart={setStarted} /> : <Watch started={started} again={() => setStarted(null)} />}
    </Dialog>
  );
}

interface Started {
  path: string;
  spawnId: string | null;
  /** Who was there before. */
  before: ReadonlySet<string>;
  at: number;
}

function Choose({ onStart }: { onStart(started: Started): void }) {
  const [home, setHome] = useState<string | null>(null);
  const [listing, setListing] = useState<Listing | null>(null);
  const [filter, setFilter] = useState('');
  const [newFolder, setNewFolder] = useState('');
  const [sessions, setSessions] = useState<PastSession[]>([]);
  const [session, setSession] = useState('');
  const [model, setModel] = useState('');
  const [prompt, setPrompt] = useState('');
  const [error, setError] = useState<string | null>(null);
  const [busy, setBusy] = useState(false);
  const wanted = useRef<string | undefined>(undefined);
  const filterField = useRef<HTMLInputElement>(null);

  const browse = async (path?: string) => {
    wanted.current = path;
    setError(null);
    try {
      const result = await request('list_directories', path === undefined ? {} : { path });
      // Somebody was faster to click than the disk to answer.
      if (wanted.current !== path) return;
      setListing(result);
      setHome((known) => known ?? result.current);
      setFilter('');
      setSession('');
      setNewFolder('');
      setSessions(await sessionsOf(result.current));
    } catch (failure) {
      setError((failure as Error).message);
    }
  };
  useEffect(() => {
    void browse();
  }, []);
  useEffect(() => {
    // Where typing needs no keyboard on the screen.
    if (!matchMedia('(pointer: coarse)').matches) filterField.current?.focus();
  }, [listing]);

  const start = async () => {
    if (listing === null || busy) return;
    setBusy(true);
    setError(null);
    const params: SpawnParams = { path: listing.current };
    if (newFolder.trim() !== '') params.new_folder = newFolder.trim();
    if (model.trim() !== '') params.model = model.trim();
    if (prompt.trim() !== '') params.prompt = prompt;
    if (session !== '') params.session = session;
    const before = new Set(nodes.peek().keys());
    try {
      const { path, spawn_id } = await request('spawn_agent', params);
      onStart({ path, spawnId: spawn_id ?? null, before, at: Date.now() });
    } catch (failure) {
      setError((failure as Error).message);
    } finally {
      setBusy(false);
    }
  };

  if (listing === null) {
    return error === null ? (
      <p class="dialog-text aside" role="status">
        Reading the home folder…
      </p>
    ) : (
      <>
        <p class="form-error" role="alert">
          {error}
        </p>
        <footer class="dialog-footer">
          <button type="button" class="button" onClick={() => void browse()}>
            Try again
          </button>
        </footer>
      </>
    );
  }
  const crumbs = crumbsOf(home ?? listing.current, listing.current);
  const shown = listing.directories.filter((name) => name.toLowerCase().includes(filter.toLowerCase()));
  const problem = newFolderProblem(newFolder);
  const models = [...new Set([...nodes.value.values()].flatMap(({ model }) => (model === undefined ? [] : [model])))];
  return (
    <form
      class="spawn"
      onSubmit={(event) => {
        event.preventDefault();
        void start();
      }}
    >
      <section class="spawn-folders" aria-label="Folder">
        <ol class="crumbs" aria-label="Where you are">
          {crumbs.map(({ name, path }, index) => (
            <li key={path}>
              <button
                type="button"
                class="button ghost small"
                aria-current={index === crumbs.length - 1 ? 'location' : undefined}
                aria-label={name === '~' ? 'Home folder' : undefined}
                onClick={() => void browse(path)}
              >
                {name === '~' ? <Icon name="home" /> : <bdi>{visible(name)}</bdi>}
              </button>
            </li>
          ))}
        </ol>
        <input
          ref={filterField}
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
              // Into the only one, or the first of those that fit what was typed.
              event.preventDefault();
              if (filter !== '' && shown[0] !== undefined) void browse(join(listing.current, shown[0]));
            } else if (event.key === 'ArrowLeft' && filter === '' && up !== undefined) {
              event.preventDefault();
              void browse(up.path);
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
                onClick={() => void browse(join(listing.current, name))}
                onKeyDown={(event) =>
                  moveAmongFolders(event, () => void browse(crumbs.at(-2)?.path ?? listing.current))
                }
              >
                <Icon name="folder" />
                <bdi>{visible(name)}</bdi>
                <Icon name="forward" />
              </button>
            </li>
          ))}
          {shown.length === 0 && (
            <li class="aside folders-none">
              {listing.directories.length === 0 ? 'No folders in here.' : 'None fits.'}
            </li>
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
            onInput={(event) => setNewFolder(event.currentTarget.value)}
          />
          {problem !== null && <small class="form-error">{problem}</small>}
        </label>
      </section>
      <section class="spawn-options" aria-label="What it is to do">
        <label class="labelled">
          <span>First prompt</span>
          <textarea
            class="field"
            rows={5}
            placeholder="Optional: what it should begin with"
            value={prompt}
            onInput={(event) => setPrompt(event.currentTarget.value)}
          />
        </label>
        <label class="labelled">
          <span>Model</span>
          <input
            class="field"
            type="text"
            list="spawn-models"
            placeholder="pi's own choice"
            autocomplete="off"
            spellcheck={false}
            value={model}
            onInput={(event) => setModel(event.currentTarget.value)}
          />
          <datalist id="spawn-models">
            {models.map((name) => (
              <option key={name} value={name} />
            ))}
          </datalist>
        </label>
        {sessions.length > 0 && newFolder.trim() === '' && (
          <fieldset class="sessions">
            <legend>Session</legend>
            <label class="session">
              <input type="radio" name="session" checked={session === ''} onChange={() => setSession('')} />
              <span>A new one</span>
            </label>
            {sessions.map((past) => (
              <label class="session" key={past.session}>
                <input
                  type="radio"
                  name="session"
                  checked={session === past.session}
                  onChange={() => setSession(past.session)}
                />
                <bdi>{visible(past.name || past.first || past.session)}</bdi>
                <span class="aside">{duration(daemonNow.value - past.modified)} ago</span>
              </label>
            ))}
          </fieldset>
        )}
      </section>
      {error !== null && (
        <p class="form-error" role="alert">
          {visible(error)}
        </p>
      )}
      <footer class="dialog-footer">
        <code class="spawn-path" title={listing.current}>
          {visible(newFolder.trim() === '' ? listing.current : join(listing.current, newFolder.trim()))}
        </code>
        <button type="button" class="button" onClick={hide}>
          Cancel
        </button>
        <button type="submit" class="button primary" disabled={problem !== null || !live.value}>
          {session === '' ? 'Start here' : 'Resume here'}
        </button>
      </footer>
    </form>
  );
}

/** None if the daemon is an older one, which keeps no track of them. */
async function sessionsOf(path: string): Promise<PastSession[]> {
  try {
    return (await request('list_sessions', { path })).sessions ?? [];
  } catch (failure) {
    if (failure instanceof RequestError) return [];
    throw failure;
  }
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

function Watch({ started, again }: { started: Started; again(): void }) {
  const [ended, setEnded] = useState<Partial<SpawnStatus> | null>(null);
  const [isLong, setLong] = useState(false);
  const arrived = [...nodes.value.values()].find((node) =>
    started.spawnId !== null && node.spawn_id !== undefined
      ? node.spawn_id === started.spawnId
      : !started.before.has(node.id) && node.cwd === started.path,
  );
  useEffect(() => {
    if (arrived === undefined) return;
    hide();
    open(arrived.id);
  }, [arrived?.id]);
  useEffect(() => {
    const { spawnId } = started;
    const timer = setTimeout(() => setLong(true), LONG_MS);
    if (spawnId === null) return () => clearTimeout(timer);
    const stop = listen({
      push(push) {
        if (push.event === 'spawn_ended' && push.spawn_id === spawnId) setEnded(push);
      },
    });
    // If the daemon pushes nothing, it is asked.
    const poll = setInterval(async () => {
      try {
        const status = await request('spawn_status', { spawn_id: spawnId });
        if (status.status === 'ended') setEnded(status);
      } catch {
        // An older daemon, or none just now: the roster tells when it comes.
      }
    }, POLL_MS);
    return () => {
      clearTimeout(timer);
      clearInterval(poll);
      stop();
    };
  }, [started]);
  if (ended !== null) {
    const how =
      ended.signal != null ? `was ended by ${ended.signal}` : `ended with exit code ${ended.exit_code ?? 'unknown'}`;
    return (
      <div class="spawn-ended">
        <p class="form-error" role="alert">
          It {how} before it registered.
        </p>
        {ended.output ? (
          <>
            <p class="dialog-text">The end of what it printed:</p>
            {/* biome-ignore lint/a11y/noNoninteractiveTabindex: it scrolls, also by keys */}
            <pre class="spawn-output" tabIndex={0}>
              {visible(ended.output)}
            </pre>
          </>
        ) : (
          <p class="dialog-text">
            It printed nothing. Is pi installed there, and does it start in that folder in a terminal?
          </p>
        )}
        <footer class="dialog-footer">
          <button type="button" class="button" onClick={hide}>
            Close
          </button>
          <button type="button" class="button primary" onClick={again}>
            Try again
          </button>
        </footer>
      </div>
    );
  }
  return (
    <div class="spawn-watch" role="status">
      <span class="spinner" aria-hidden="true" />
      <p>
        Starting in <code class="wrap">{visible(started.path)}</code>
      </p>
      <p class="aside">
        {isLong
          ? 'It has not registered yet. It may still be starting, or pi there has no hypivisor extension.'
          : 'It opens here as soon as it registers.'}
      </p>
      <footer class="dialog-footer">
        <button type="button" class="button" onClick={hide}>
          Do not wait
        </button>
      </footer>
    </div>
  );
}
