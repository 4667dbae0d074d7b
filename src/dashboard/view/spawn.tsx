/** Starts an agent: choose a folder, say what it is to do, and watch it come up, or read why it does not. */
import { useEffect, useRef, useState } from 'preact/hooks';
import type { Machine } from '../../protocol/hub.ts';
import type { Params, PastSession, Result, SpawnParams } from '../../protocol/registry.ts';
import { visible } from '../chat/visible.ts';
import { RequestError } from '../link/registry-link.ts';
import { join, newFolderProblem } from '../state/browse.ts';
import { daemonNow, live, request } from '../state/connection.ts';
import { hide } from '../state/dialogs.ts';
import { nodes } from '../state/fleet.ts';
import { duration } from '../state/format.ts';
import { firstChoice, startable } from '../state/machines.ts';
import { machines } from '../state/network.ts';
import { spawnMachine } from '../state/prefs.ts';
import { Dialog } from './dialog.tsx';
import { focusFilter, SpawnFolders } from './spawn-folders.tsx';
import { SpawnMachine } from './spawn-machine.tsx';
import { onMachine, type Started, Watch } from './spawn-watch.tsx';

type Listing = Result<'list_directories'>;

export function Spawn() {
  const [started, setStarted] = useState<Started | null>(null);
  return (
    <Dialog title={started === null ? 'Start an agent' : 'Starting'} size="wide">
      {started === null ? <Choose onStart={setStarted} /> : <Watch started={started} again={() => setStarted(null)} />}
    </Dialog>
  );
}

/** The daemon's own machine needs no id: that may change when the daemon restarts. */
const keyOf = (machine: Machine | null): string | null => (machine === null || machine.here ? null : machine.id);

function Choose({ onStart }: { onStart(started: Started): void }) {
  const choices = startable(machines.value);
  // If there is only the daemon's own, there is nothing to choose.
  const isChoice = choices.some(({ here }) => !here);
  const [machineId, setMachineId] = useState(() => keyOf(firstChoice(choices, spawnMachine.peek())));
  const chosen = choices.find((machine) => keyOf(machine) === machineId);
  const place = useRef<Machine | undefined>(undefined);
  place.current = chosen;
  const [home, setHome] = useState<string | null>(null);
  const [listing, setListing] = useState<Listing | null>(null);
  const [newFolder, setNewFolder] = useState('');
  const [sessions, setSessions] = useState<PastSession[]>([]);
  const [session, setSession] = useState('');
  const [model, setModel] = useState('');
  const [prompt, setPrompt] = useState('');
  const [error, setError] = useState<string | null>(null);
  const [busy, setBusy] = useState(false);
  /** The number of the last request: somebody may click faster than the disk answers. */
  const lastAsked = useRef(0);

  const browse = async (path?: string) => {
    const asked = ++lastAsked.current;
    const on = onMachine(place.current);
    setError(null);
    try {
      const result = await request('list_directories', { ...on, ...(path === undefined ? {} : { path }) });
      if (asked !== lastAsked.current) return;
      setListing(result);
      setHome((known) => known ?? result.current);
      setSession('');
      setNewFolder('');
      const past = await sessionsOf({ ...on, path: result.current });
      if (asked === lastAsked.current) setSessions(past);
    } catch (failure) {
      if (asked === lastAsked.current) setError((failure as Error).message);
    }
  };
  const isGone = machineId !== null && chosen === undefined;
  const isConnected = chosen === undefined ? !isGone : chosen.status === 'connected';
  useEffect(() => {
    setHome(null);
    setListing(null);
    setSessions([]);
    if (isConnected) void browse();
    else lastAsked.current++;
  }, [machineId, isConnected]);

  const start = async () => {
    if (listing === null || busy) return;
    setBusy(true);
    setError(null);
    const params: SpawnParams = { ...onMachine(chosen), path: listing.current };
    if (newFolder.trim() !== '') params.new_folder = newFolder.trim();
    if (model.trim() !== '') params.model = model.trim();
    if (prompt.trim() !== '') params.prompt = prompt;
    if (session !== '') params.session = session;
    const before = new Set(nodes.peek().keys());
    try {
      const { path, spawn_id } = await request('spawn_agent', params);
      spawnMachine.value = machineId;
      onStart({ path, machine: chosen?.here ? undefined : chosen, spawnId: spawn_id ?? null, before, at: Date.now() });
    } catch (failure) {
      setError((failure as Error).message);
    } finally {
      setBusy(false);
    }
  };

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
      {isChoice && (
        <SpawnMachine
          choices={choices}
          chosen={chosen}
          onChoose={(machine) => setMachineId(keyOf(machine))}
          onDone={focusFilter}
        />
      )}
      <section class="spawn-folders" aria-label="Folder" aria-busy={listing === null && error === null}>
        {listing !== null ? (
          <SpawnFolders
            home={home ?? listing.current}
            listing={listing}
            browse={(path) => void browse(path)}
            newFolder={newFolder}
            onNewFolder={setNewFolder}
          />
        ) : chosen?.status === 'lost' ? (
          <p class="dialog-text" role="status">
            {visible(chosen.name)} is not connected. Its folders are shown once it is back.
          </p>
        ) : isGone ? (
          <p class="dialog-text" role="status">
            That machine is not joined any more. Choose another.
          </p>
        ) : error === null ? (
          <p class="dialog-text aside" role="status">
            Reading the home folder{isChoice && chosen !== undefined ? ` on ${visible(chosen.name)}` : ''}…
          </p>
        ) : (
          <button type="button" class="button" onClick={() => void browse()}>
            Try again
          </button>
        )}
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
        {listing !== null && (
          <code class="spawn-path" title={listing.current}>
            {isChoice && chosen !== undefined && `${visible(chosen.name)}: `}
            {visible(newFolder.trim() === '' ? listing.current : join(listing.current, newFolder.trim()))}
          </code>
        )}
        <button type="button" class="button" onClick={hide}>
          Cancel
        </button>
        <button type="submit" class="button primary" disabled={listing === null || problem !== null || !live.value}>
          {session === '' ? 'Start here' : 'Resume here'}
        </button>
      </footer>
    </form>
  );
}

/** None if the daemon is an older one, which keeps no track of them. */
async function sessionsOf(params: Params<'list_sessions'>): Promise<PastSession[]> {
  try {
    return (await request('list_sessions', params)).sessions ?? [];
  } catch (failure) {
    if (failure instanceof RequestError) return [];
    throw failure;
  }
}
