/** Asks for the token, once: it is kept in this browser, and goes to the hypivisor as a subprotocol, never in an address. */
import { useEffect, useRef, useState } from 'preact/hooks';
import { tryToken } from '../state/connection.ts';
import { token } from '../state/token.ts';

export function TokenEntry() {
  const [text, setText] = useState('');
  const field = useRef<HTMLInputElement>(null);
  const element = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    element.current?.showModal();
    field.current?.focus();
  }, []);
  const wrong = token.value !== null;
  return (
    <dialog
      ref={element}
      class="dialog"
      data-size="narrow"
      aria-labelledby="token-title"
      onCancel={(event) => event.preventDefault()}
    >
      <form
        class="dialog-body"
        onSubmit={(event) => {
          event.preventDefault();
          if (text !== '') tryToken(text);
        }}
      >
        <header class="dialog-header">
          <h2 id="token-title">This hypivisor wants a token</h2>
        </header>
        <p class="dialog-text">
          It was started with <code>HYPI_TOKEN</code>. Enter the same here. This browser keeps it.
        </p>
        {wrong && (
          <p class="form-error" role="alert" id="token-error">
            The token that this browser has is not the right one.
          </p>
        )}
        <label class="labelled">
          <span>Token</span>
          <input
            ref={field}
            class="field mono"
            type="password"
            autocomplete="current-password"
            aria-invalid={wrong}
            aria-describedby={wrong ? 'token-error' : undefined}
            value={text}
            onInput={(event) => setText(event.currentTarget.value)}
          />
        </label>
        <footer class="dialog-footer">
          <button type="submit" class="button primary" disabled={text === ''}>
            Connect
          </button>
        </footer>
      </form>
    </dialog>
  );
}
