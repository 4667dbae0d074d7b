import { useComputed } from '@preact/signals';
import { useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks';
import { AgentFeature, type Attachment, type Delivery } from '../../protocol/agent.ts';
import type { AgentLink } from '../link/agent-link.ts';
import { AttachmentChip } from './attachment-chip.tsx';
import { addFiles, readFile } from './attachments.ts';
import { loadDraft, loadFiles, saveDraft, saveDraftFiles, watchDraft } from './drafts.ts';
import { onEnter } from './enter.ts';
import { Icon } from './icons.tsx';
import { type Choice, choose, commandChoices, fileChoices, step, type Trigger, triggerAt } from './menu.ts';
import { Menu } from './menu-view.tsx';
import type { Session } from './session.ts';

/** Pasted text that is longer than this goes as a file. */
const PASTED_FILE_CHARACTERS = 50_000;
/** The delay between a key and asking the agent for its files. */
const FILES_DELAY_MS = 80;

const touch = matchMedia('(pointer: coarse)');

interface ComposerProps {
  session: Session;
  link: AgentLink;
  onSent(): void;
  onInput(element: HTMLTextAreaElement | null): void;
}

/** The field for writing to the agent. A text is kept until the agent has it. */
export function Composer({ session, link, onSent, onInput }: ComposerProps) {
  const { nodeId, conversation } = session;
  const input = useRef<HTMLTextAreaElement | null>(null);
  const picker = useRef<HTMLInputElement>(null);
  const [text, setText] = useState(() => loadDraft(nodeId));
  const [files, setFiles] = useState<readonly Attachment[]>([]);
  const [problem, setProblem] = useState<string | null>(null);
  const [trigger, setTrigger] = useState<Trigger | null>(null);
  const [chosen, setChosen] = useState(0);
  const [dragging, setDragging] = useState(false);
  const state = useComputed(() => conversation.value.activity.state).value;
  const features = useComputed(() => conversation.value.features).value;
  const commands = useComputed(() => conversation.value.commands).value;
  const listed = useComputed(() => conversation.value.files).value;
  const { phase } = link.status.value;
  const busy = state === 'working' || state === 'waiting';
  const canSteer = busy && features.includes(AgentFeature.STEER);
  const away = phase === 'away';
  const empty = text.trim() === '' && files.length === 0;

  useEffect(() => {
    let current = true;
    loadFiles(nodeId).then((kept) => {
      if (current && kept.length > 0) setFiles((now) => addFiles(kept, now).files);
    });
    return () => {
      current = false;
    };
  }, [nodeId]);

  useLayoutEffect(() => {
    const element = input.current;
    if (element === null) return;
    element.style.height = 'auto';
    element.style.height = `${element.scrollHeight + 2}px`;
  }, [text]);

  // The stored draft as this tab last saw it: a different one comes from another tab. Without storage it never differs.
  const kept = useRef(text);
  const composing = useRef(false);
  const write = (value: string) => {
    setText(value);
    saveDraft(nodeId, value);
    kept.current = loadDraft(nodeId);
  };
  const takeOver = () => {
    // Changing the text would disturb an input method. The draft is written when the method ends.
    if (composing.current) return;
    const value = loadDraft(nodeId);
    if (value === kept.current) return;
    kept.current = value;
    setText(value);
    setTrigger(null);
  };
  const keepFiles = (value: readonly Attachment[]) => {
    setFiles(value);
    saveDraftFiles(nodeId, value);
  };
  useEffect(() => {
    let current = true;
    const unwatch = watchDraft(nodeId, {
      text: takeOver,
      files: () => loadFiles(nodeId).then((all) => current && setFiles(all)),
    });
    return () => {
      current = false;
      unwatch();
    };
  }, [nodeId]);

  const attach = async (added: Iterable<File>) => {
    const read = await Promise.allSettled([...added].map(readFile));
    const usable = read.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []));
    setFiles((present) => {
      const { files: all, problem: said } = addFiles(present, usable);
      setProblem(said ?? (usable.length < read.length ? 'A file could not be read.' : null));
      saveDraftFiles(nodeId, all);
      return all;
    });
  };

  const send = (deliver: Delivery) => {
    if (empty || away) return;
    // A prompt that is only a file needs words all the same.
    session.send(text.trim() === '' ? 'See the attached files.' : text.trim(), files, deliver);
    write('');
    keepFiles([]);
    setProblem(null);
    setTrigger(null);
    onSent();
    input.current?.focus();
  };

  // Menus
  const choices: Choice[] =
    trigger === null
      ? []
      : trigger.kind === 'command'
        ? commandChoices(commands ?? [], trigger.query)
        : fileChoices(listed, trigger.query);
  const loading = trigger !== null && (trigger.kind === 'command' ? commands === null : listed === null);
  const kind = trigger?.kind;
  const query = trigger?.query;
  useEffect(() => {
    setChosen(0);
    if (phase !== 'live') return;
    if (kind === 'command' && commands === null) session.listCommands();
    if (kind !== 'file') return;
    const timer = setTimeout(() => session.listFiles(query ?? ''), FILES_DELAY_MS);
    return () => clearTimeout(timer);
  }, [kind, query, phase]);
  const look = () => {
    const element = input.current;
    setTrigger(element === null ? null : triggerAt(element.value, element.selectionStart));
  };
  const take = (choice: Choice) => {
    if (trigger === null) return;
    const { text: value, caret } = choose(text, trigger, choice);
    write(value);
    setTrigger(choice.isFolder ? triggerAt(value, caret) : null);
    requestAnimationFrame(() => {
      input.current?.focus();
      input.current?.setSelectionRange(caret, caret);
    });
  };

  const onKeyDown = (event: KeyboardEvent) => {
    const menu = trigger !== null && choices.length > 0;
    if (event.key === 'Escape' && trigger !== null) {
      event.preventDefault();
      event.stopPropagation();
      setTrigger(null);
      return;
    }
    if (menu && (event.key === 'ArrowDown' || event.key === 'ArrowUp')) {
      event.preventDefault();
      setChosen(step(chosen, event.key === 'ArrowDown' ? 1 : -1, choices.length));
      return;
    }
    if (menu && (event.key === 'Tab' || event.key === 'Enter') && !event.isComposing) {
      event.preventDefault();
      take(choices[chosen] as Choice);
      return;
    }
    if (event.key !== 'Enter') return;
    // 229: some browsers end the composition before they report its key.
    const composing = event.isComposing || event.keyCode === 229;
    const action = onEnter({ shift: event.shiftKey, mod: event.metaKey || event.ctrlKey, composing }, touch.matches);
    if (action === 'send' || action === 'steer') {
      event.preventDefault();
      send(action === 'steer' && canSteer ? 'steer' : 'followUp');
    }
  };

  const onPaste = (event: ClipboardEvent) => {
    const data = event.clipboardData;
    if (data === null) return;
    if (data.files.length > 0) {
      event.preventDefault();
      attach(data.files);
      return;
    }
    const pasted = data.getData('text/plain');
    if (pasted.length <= PASTED_FILE_CHARACTERS) return;
    event.preventDefault();
    attach([new File([pasted], 'pasted.txt', { type: 'text/plain' })]);
  };

  return (
    <form
      class="composer"
      data-dragging={dragging}
      data-busy={busy}
      onSubmit={(event) => {
        event.preventDefault();
        send('followUp');
      }}
      onDragOver={(event) => {
        if (!event.dataTransfer?.types.includes('Files')) return;
        event.preventDefault();
        setDragging(true);
      }}
      onDragLeave={() => setDragging(false)}
      onDrop={(event) => {
        setDragging(false);
        if (!event.dataTransfer?.files.length) return;
        event.preventDefault();
        attach(event.dataTransfer.files);
      }}
    >
      {trigger !== null && (choices.length > 0 || loading) && (
        <Menu
          choices={choices}
          chosen={chosen}
          loading={loading}
          label={trigger.kind === 'command' ? 'Commands' : 'Files'}
          take={take}
        />
      )}
      {files.length > 0 && (
        <ul class="attachments" aria-label="Attached files">
          {files.map((file) => (
            <AttachmentChip
              key={file.filename}
              file={file}
              remove={() => keepFiles(files.filter((other) => other !== file))}
            />
          ))}
        </ul>
      )}
      {problem !== null && (
        <p class="problem" role="alert">
          {problem}
        </p>
      )}
      <div class="composer-box">
        <button
          type="button"
          class="chat-tool attach"
          aria-label="Attach files"
          title="Attach files"
          onClick={() => picker.current?.click()}
        >
          <Icon name="attach" />
        </button>
        <input
          ref={picker}
          hidden
          type="file"
          multiple
          tabIndex={-1}
          aria-label="Files to attach"
          onChange={(event) => {
            attach([...(event.currentTarget.files ?? [])]);
            event.currentTarget.value = '';
          }}
        />
        <textarea
          ref={(element) => {
            input.current = element;
            onInput(element);
          }}
          rows={1}
          value={text}
          aria-label="Message to the agent"
          placeholder={placeholderFor(away, busy)}
          aria-autocomplete="list"
          aria-controls={trigger === null ? undefined : 'composer-menu'}
          aria-activedescendant={trigger !== null && choices.length > 0 ? `choice-${chosen}` : undefined}
          enterkeyhint={touch.matches ? 'enter' : 'send'}
          autoComplete="off"
          onInput={(event) => {
            write(event.currentTarget.value);
            look();
          }}
          onCompositionStart={() => {
            composing.current = true;
          }}
          onCompositionEnd={() => {
            composing.current = false;
          }}
          onKeyDown={onKeyDown}
          onKeyUp={(event) => {
            if (event.key === 'ArrowLeft' || event.key === 'ArrowRight' || event.key === 'Home' || event.key === 'End')
              look();
          }}
          onClick={look}
          onBlur={() => setTrigger(null)}
          onPaste={onPaste}
        />
        {busy && (
          <button
            type="button"
            class="button stop"
            disabled={phase !== 'live' || session.stopping.value}
            aria-label="Stop the agent"
            title="Stop the agent"
            onClick={() => session.stop()}
          >
            <Icon name="stop" />
            <span>{session.stopping.value ? 'Stopping' : 'Stop'}</span>
          </button>
        )}
        {canSteer && !empty && (
          <button
            type="button"
            class="button"
            title="Give it to the agent before its next step (Ctrl+Enter)"
            onClick={() => send('steer')}
          >
            Steer
          </button>
        )}
        <button
          type="submit"
          class="button primary send"
          disabled={empty || away}
          aria-label={busy ? 'Queue message' : 'Send message'}
          title={busy ? 'Queue: it goes when the agent has finished' : 'Send'}
        >
          <Icon name="send" />
        </button>
      </div>
    </form>
  );
}

function placeholderFor(away: boolean, busy: boolean): string {
  if (away) return 'Offline; what you write is kept';
  if (busy) return 'Queue a message';
  // A narrow screen has no room for more.
  return touch.matches ? 'Message' : 'Message, / for commands, @ for files';
}
