import { useState } from 'preact/hooks';
import { announce } from '../platform/announce.ts';
import { canCopy, copyText } from '../platform/clipboard.ts';
import { Icon } from './icons.tsx';

/** Copies a whole text unchanged, even if only a part is shown. Renders nothing if this page has no clipboard. */
export function CopyButton({ text, label }: { text: () => string; label: string }) {
  const [copied, setCopied] = useState(false);
  if (!canCopy) return null;
  const copy = async () => {
    if (!(await copyText(text()))) return;
    announce('Copied');
    setCopied(true);
    setTimeout(() => setCopied(false), 1500);
  };
  return (
    <button type="button" class="chat-tool copy" aria-label={label} title={label} onClick={copy}>
      <Icon name={copied ? 'check' : 'copy'} />
    </button>
  );
}
