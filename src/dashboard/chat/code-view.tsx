import { useEffect, useState } from 'preact/hooks';
import { CopyButton } from './copy-button.tsx';
import { countLines, fold } from './fold.ts';
import type { Piece } from './highlight.ts';
import { highlightLater } from './highlighter.ts';
import { visible } from './visible.ts';

/** Code in an answer is shown whole up to this many lines. */
const SHOWN_LINES = 200;

/** A fenced block. While it is `open`, more of it is to come. */
export function CodeBlock({ lang, text, open }: { lang: string; text: string; open: boolean }) {
  const [shown, setShown] = useState(SHOWN_LINES);
  // While it is being written, no line that was shown disappears again.
  const { lines, total } = fold(text, open ? Number.POSITIVE_INFINITY : shown, 'start');
  const cut = lines.some((line) => line.cut > 0);
  const code =
    lines.length < total || cut ? lines.map((line) => line.text + (line.cut > 0 ? ' …' : '')).join('\n') : text;
  return (
    <figure class="code">
      <figcaption>
        <span class="lang">{visible(lang) || 'text'}</span>
        <CopyButton text={() => text} label="Copy code" />
      </figcaption>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: keys must reach a box that scrolls sideways */}
      <pre tabIndex={0}>
        <Code text={code} lang={lang} open={open} />
      </pre>
      {lines.length < total && (
        <button type="button" class="more" onClick={() => setShown(shown + 1000)}>
          Show more of {countLines(text).toLocaleString('en')} lines
        </button>
      )}
    </figure>
  );
}

/** Code with colours, which come a moment later. */
export function Code({ text, lang, open = false }: { text: string; lang: string; open?: boolean }) {
  const [coloured, setColoured] = useState<{ source: string; pieces: readonly Piece[] } | null>(null);
  const known = coloured !== null && text.startsWith(coloured.source) ? coloured : null;
  // Code that is being written is coloured again each time it has grown by half: in all, a small multiple of once.
  const due =
    lang !== '' && (known === null || (open ? text.length > known.source.length * 1.5 + 200 : text !== known.source));
  const source = open ? text.slice(0, text.lastIndexOf('\n') + 1) : text;
  useEffect(() => {
    if (!due || source === '') return;
    return highlightLater(source, lang, (pieces) => {
      setColoured({ source, pieces: pieces ?? [{ text: source, kind: null }] });
    });
  }, [due, due ? source : '', lang]);
  if (known === null) return <code>{visible(text)}</code>;
  return (
    <code>
      <Pieces pieces={known.pieces} />
      {visible(text.slice(known.source.length))}
    </code>
  );
}

function Pieces({ pieces }: { pieces: readonly Piece[] }) {
  return (
    <>
      {pieces.map(({ text, kind }, index) =>
        kind === null ? (
          visible(text)
        ) : (
          <span key={index} class={`syn-${kind}`}>
            {visible(text)}
          </span>
        ),
      )}
    </>
  );
}
