/** The settings. */
import type { ComponentChildren } from 'preact';
import { useState } from 'preact/hooks';
import { followsAnswerStart } from '../chat/preferences.ts';
import { daemon, traffic } from '../state/connection.ts';
import { scheme, tellingOn } from '../state/prefs.ts';
import { forgetToken, token } from '../state/token.ts';
import { permission, turnOn } from '../telling/notify.ts';
import { piTheme } from '../theme/apply.ts';
import { readPiTheme } from '../theme/pi-theme.ts';
import { Dialog } from './dialog.tsx';

export function Settings() {
  return (
    <Dialog title="Settings">
      <div class="settings">
        <Group title="Colours">
          <Choice
            name="scheme"
            value={scheme.value}
            disabled={piTheme.value !== null}
            options={{ system: 'As the system', light: 'Light', dark: 'Dark' }}
            onChange={(value) => (scheme.value = value)}
          />
          <Theme />
        </Group>
        <Group title="While an answer comes">
          <Choice
            name="following"
            value={followsAnswerStart.value ? 'start' : 'end'}
            options={{ end: 'Follow it to its end', start: 'Stop at its beginning, to read' }}
            onChange={(value) => (followsAnswerStart.value = value === 'start')}
          />
        </Group>
        <Group title="Notifications">
          <Notifications />
        </Group>
        {token.value !== null && (
          <Group title="Token">
            <p class="aside">This browser keeps the hypivisor's token.</p>
            <button type="button" class="button" onClick={forget}>
              Forget it
            </button>
          </Group>
        )}
        <Group title="Hypivisor">
          <p class="aside">
            {location.host}
            {daemon.value.live
              ? `, connected${traffic().opened > 1 ? ` (${traffic().opened} times)` : ''}`
              : ', not connected'}
            {daemon.value.live &&
              daemon.value.features.length === 0 &&
              '. An older one: agents tell no states through it.'}
          </p>
        </Group>
      </div>
    </Dialog>
  );
}

function forget(): void {
  forgetToken();
  location.reload();
}

function Group({ title, children }: { title: string; children: ComponentChildren }) {
  return (
    <section class="settings-group">
      <h3>{title}</h3>
      {children}
    </section>
  );
}

interface ChoiceProps<T extends string> {
  name: string;
  value: T;
  options: Record<T, string>;
  disabled?: boolean;
  onChange(value: T): void;
}

function Choice<T extends string>({ name, value, options, disabled = false, onChange }: ChoiceProps<T>) {
  return (
    <fieldset class="choice" disabled={disabled}>
      {(Object.entries(options) as [T, string][]).map(([option, words]) => (
        <label key={option} class="check">
          <input type="radio" name={name} checked={value === option} onChange={() => onChange(option)} />
          <span>{words}</span>
        </label>
      ))}
    </fieldset>
  );
}

function Theme() {
  const [problem, setProblem] = useState<string | null>(null);
  const theme = piTheme.value;
  return (
    <>
      {theme !== null && (
        <p class="theme-name">
          Theme <b>{theme.name}</b>
          <button type="button" class="button small" onClick={() => (piTheme.value = null)}>
            Remove
          </button>
        </p>
      )}
      <label class="labelled">
        <span>A theme of pi's (a JSON file)</span>
        <input
          type="file"
          class="file"
          accept=".json,application/json"
          onChange={async (event) => {
            const file = event.currentTarget.files?.[0];
            if (file === undefined) return;
            try {
              piTheme.value = readPiTheme(await file.text());
              setProblem(null);
            } catch (error) {
              setProblem((error as Error).message);
            }
          }}
        />
      </label>
      {problem !== null && (
        <p class="form-error" role="alert">
          {problem}
        </p>
      )}
    </>
  );
}

function Notifications() {
  switch (permission.value) {
    case 'unavailable':
      return (
        <p class="aside">
          Browsers allow notifications to pages from localhost or over HTTPS only. This page came over plain HTTP from{' '}
          {location.host}: put a proxy with TLS before the hypivisor, or a tunnel to localhost.
        </p>
      );
    case 'denied':
      return (
        <p class="aside">
          This browser has blocked them for this page. Its own settings, beside the address, undo that.
        </p>
      );
    default:
      return (
        <label class="check">
          <input
            type="checkbox"
            checked={tellingOn.value && permission.value === 'granted'}
            onChange={(event) => {
              if (event.currentTarget.checked) void turnOn();
              else tellingOn.value = false;
            }}
          />
          <span>
            Tell me on this device
            <small>
              When an agent waits, fails or has finished, and you are not looking at it. The inspector has it per agent.
            </small>
          </span>
        </label>
      );
  }
}
