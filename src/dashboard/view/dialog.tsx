/** A modal dialog: the browser keeps the focus in it, closes it on Esc and gives the focus back. */
import type { ComponentChildren } from 'preact';
import { useId, useLayoutEffect, useRef } from 'preact/hooks';
import { hide } from '../state/dialogs.ts';
import { Icon } from './icon.tsx';

interface DialogProps {
  title: string;
  /** Narrow by default. */
  size?: 'narrow' | 'wide';
  /** Without a header of its own: the palette. */
  bare?: boolean;
  children: ComponentChildren;
}

export function Dialog({ title, size = 'narrow', bare = false, children }: DialogProps) {
  const element = useRef<HTMLDialogElement>(null);
  const id = useId();
  // In a layout effect, since the next key is meant for the dialog.
  useLayoutEffect(() => {
    const dialog = element.current as HTMLDialogElement;
    const before = document.activeElement;
    dialog.showModal();
    // Only a click on the backdrop has the dialog as its target: its content covers the rest.
    dialog.addEventListener('click', ({ target }) => {
      if (target === dialog) hide();
    });
    // The browser may close it without asking: on the second Esc, say.
    dialog.addEventListener('close', hide);
    return () => {
      // A dialog that is shown in its place stays.
      dialog.removeEventListener('close', hide);
      dialog.close();
      if (before instanceof HTMLElement && before.isConnected) before.focus({ preventScroll: true });
    };
  }, []);
  return (
    <dialog
      ref={element}
      class="dialog"
      data-size={size}
      data-bare={bare}
      aria-labelledby={id}
      onCancel={(event) => {
        event.preventDefault();
        hide();
      }}
    >
      <div class="dialog-body">
        <header class={bare ? 'visually-hidden' : 'dialog-header'}>
          <h2 id={id}>{title}</h2>
          {!bare && (
            <button type="button" class="button ghost icon" aria-label="Close" onClick={hide}>
              <Icon name="close" />
            </button>
          )}
        </header>
        {children}
      </div>
    </dialog>
  );
}
