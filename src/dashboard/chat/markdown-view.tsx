/** Markdown as elements. Text only ever becomes text nodes, so an agent's text can't become markup. */

import type { Token, Tokens } from 'marked';
import { Component, type ComponentChildren, type VNode } from 'preact';
import { useRef, useState } from 'preact/hooks';
import { CodeBlock } from './code-view.tsx';
import { decodeEntities } from './entities.ts';
import { MAX_SHOWN_LINE } from './fold.ts';
import { isInlineImage, misleadingHost, safeLink } from './links.ts';
import { type Block, type Parsed, parseMarkdown } from './markdown.ts';
import { visible } from './visible.ts';

/** A finished text is shown up to here at first: rendering a megabyte at once would take seconds. */
const SHOWN_CHARACTERS = 40_000;

export function Markdown({ text, open = false }: { text: string; open?: boolean }) {
  const parsed = useRef<Parsed | undefined>(undefined);
  const views = useRef(new WeakMap<Block, VNode>());
  // Text that was shown while it was being written stays once it is finished.
  const [limit, setLimit] = useState(open ? Number.POSITIVE_INFINITY : SHOWN_CHARACTERS);
  const shown = text.length <= limit ? text : text.slice(0, shownEnd(text, limit));
  parsed.current = parseMarkdown(shown, parsed.current, !open);
  return (
    <div class="markdown">
      {parsed.current.blocks.map((block, index) => {
        // The very same element, so that settled blocks are not even compared.
        const view = views.current.get(block) ?? (
          <BlockView key={`${parsed.current?.definitions} ${index}`} block={block} />
        );
        views.current.set(block, view);
        return view;
      })}
      {shown.length < text.length && (
        <button type="button" class="more" onClick={() => setLimit(limit + 4 * SHOWN_CHARACTERS)}>
          Show more ({Math.ceil((text.length - shown.length) / 1000).toLocaleString('en')} thousand characters are left)
        </button>
      )}
    </div>
  );
}

/** Where to cut a text so that about `limit` characters show: only a part of a line that is too long does. */
function shownEnd(text: string, limit: number): number {
  let shown = 0;
  for (let at = 0; at < text.length; ) {
    const end = text.indexOf('\n', at);
    if (end === -1) return text.length;
    shown += Math.min(end - at, MAX_SHOWN_LINE) + 1;
    if (shown > limit) return end;
    at = end + 1;
  }
  return text.length;
}

/** Rendered again only if its text has changed, which that of a finished block never does. */
class BlockView extends Component<{ block: Block }> {
  override shouldComponentUpdate({ block: next }: { block: Block }): boolean {
    const { block } = this.props;
    if (next === block) return false;
    return !(next.kind === 'prose' && block.kind === 'prose' && next.token.raw === block.token.raw);
  }

  override render({ block }: { block: Block }) {
    switch (block.kind) {
      case 'code':
        return <CodeBlock lang={block.lang} text={block.text} open={block.open} />;
      case 'plain':
        return <Plain text={block.text} />;
      case 'prose':
        return renderBlock(block.token);
    }
  }
}

/** A line too long for the parser, cut so that it can be laid out. */
function Plain({ text }: { text: string }) {
  const [shown, setShown] = useState(MAX_SHOWN_LINE);
  return (
    <p class="plain">
      {visible(text.slice(0, shown))}
      {text.length > shown && (
        <button type="button" class="more" onClick={() => setShown(shown + 20_000)}>
          … {(text.length - shown).toLocaleString('en')} more characters
        </button>
      )}
    </p>
  );
}

const HEADINGS = ['h3', 'h4', 'h5', 'h6', 'h6', 'h6'] as const;

function renderBlock(token: Token): VNode | null {
  switch (token.type) {
    case 'heading': {
      const { depth, tokens } = token as Tokens.Heading;
      const Heading = HEADINGS[depth - 1] ?? 'h6';
      return <Heading dir="auto">{renderInline(tokens)}</Heading>;
    }
    case 'paragraph':
      return <p dir="auto">{renderInline((token as Tokens.Paragraph).tokens)}</p>;
    case 'text': {
      const { tokens, text } = token as Tokens.Text;
      return <>{tokens === undefined ? plainText(text) : renderInline(tokens)}</>;
    }
    case 'code': {
      const { lang, text } = token as Tokens.Code;
      return <CodeBlock lang={/^[^\s{]*/.exec(lang ?? '')?.[0] ?? ''} text={text} open={false} />;
    }
    case 'blockquote':
      return <blockquote dir="auto">{renderBlocks((token as Tokens.Blockquote).tokens)}</blockquote>;
    case 'hr':
      return <hr />;
    case 'list':
      return renderList(token as Tokens.List);
    case 'table':
      return renderTable(token as Tokens.Table);
    case 'space':
    case 'def':
    case 'checkbox':
      return null;
    default:
      return <p dir="auto">{visible(token.raw)}</p>;
  }
}

const renderBlocks = (tokens: readonly Token[]) =>
  tokens.map((token, index) => <BlockView key={index} block={{ kind: 'prose', token }} />);

function renderList({ ordered, start, items }: Tokens.List) {
  const rows = items.map((item, index) => (
    <li key={index} dir="auto" class={item.task ? 'task' : undefined}>
      {item.task && (
        <span class="checkbox" role="img" aria-label={item.checked ? 'done' : 'not done'} data-checked={item.checked} />
      )}
      {renderBlocks(item.tokens)}
    </li>
  ));
  return ordered ? <ol start={typeof start === 'number' ? start : 1}>{rows}</ol> : <ul>{rows}</ul>;
}

function renderTable({ header, rows, align }: Tokens.Table) {
  const cell = (Cell: 'th' | 'td', { tokens }: Tokens.TableCell, column: number) => (
    <Cell key={column} class={align[column] ? `align-${align[column]}` : undefined} dir="auto">
      {renderInline(tokens)}
    </Cell>
  );
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: keys must reach a box that scrolls sideways
    <div class="table" tabIndex={0}>
      <table>
        <thead>
          <tr>{header.map((column, index) => cell('th', column, index))}</tr>
        </thead>
        <tbody>
          {rows.map((row, index) => (
            <tr key={index}>{row.map((column, at) => cell('td', column, at))}</tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function renderInline(tokens: readonly Token[]): ComponentChildren[] {
  return tokens.map((token, index) => renderSpan(token, index));
}

function renderSpan(token: Token, key: number): ComponentChildren {
  switch (token.type) {
    case 'text':
    case 'escape':
      return 'tokens' in token && token.tokens !== undefined ? renderInline(token.tokens) : plainText(token.text);
    case 'strong':
      return <strong key={key}>{renderInline((token as Tokens.Strong).tokens)}</strong>;
    case 'em':
      return <em key={key}>{renderInline((token as Tokens.Em).tokens)}</em>;
    case 'del':
      return <del key={key}>{renderInline((token as Tokens.Del).tokens)}</del>;
    case 'codespan':
      return <code key={key}>{visible(token.text)}</code>;
    case 'br':
      return <br key={key} />;
    case 'link':
      return renderLink(token as Tokens.Link, key);
    case 'image':
      return renderImage(token as Tokens.Image, key);
    case 'checkbox':
      return null;
    default:
      return visible(token.raw);
  }
}

const plainText = (text: string) => visible(decodeEntities(text));

function renderLink({ href, text, tokens }: Tokens.Link, key: number) {
  const address = safeLink(href);
  const label = renderInline(tokens);
  // An address that may not be a link is shown as text, for the text may be about it: a path, say.
  if (address === null)
    return href === text ? (
      <span key={key}>{label}</span>
    ) : (
      <span key={key}>
        {label} ({visible(href)})
      </span>
    );
  const host = misleadingHost(text, address);
  return (
    <span key={key}>
      <a href={address} title={visible(address)} target="_blank" rel="noopener noreferrer nofollow">
        {label}
      </a>
      {host !== null && <span class="real-host"> ({visible(host)})</span>}
    </span>
  );
}

/** Nothing is fetched from elsewhere: a picture there becomes a link. */
function renderImage({ href, text }: Tokens.Image, key: number) {
  if (isInlineImage(href)) return <img key={key} src={href} alt={visible(text)} />;
  const address = safeLink(href);
  const label = visible(text) || 'image';
  if (address === null)
    return (
      <span key={key}>
        {label} ({visible(href.slice(0, 200))})
      </span>
    );
  return (
    <a
      key={key}
      class="picture"
      href={address}
      title={visible(address)}
      target="_blank"
      rel="noopener noreferrer nofollow"
    >
      {label} ({new URL(address).host})
    </a>
  );
}
