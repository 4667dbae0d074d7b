/** An agent in the roster. */

import type { Node } from '../../protocol/registry.ts';
import { visible } from '../chat/visible.ts';
import { dollars, percent } from '../state/format.ts';
import { open } from '../state/opened.ts';
import { hashOf } from '../state/place.ts';
import { nameOf, shortIdOf, splitPath } from '../state/rows.ts';
import { STANDING_WORDS, type Standing, standingSince } from '../state/standing.ts';
import { Mark } from './mark.tsx';
import { memo } from './memo.ts';
import { QuickAnswer } from './quick-answer.tsx';
import { Since } from './since.tsx';

interface RowProps {
  node: Node;
  /** Null while it is not known. */
  standing: Standing | null;
  isOpen: boolean;
  isCursor: boolean;
  showProject: boolean;
  /** The name of the machine, if it is to be shown. */
  machine: string | null;
}

export const Row = memo(({ node, standing, isOpen, isCursor, showProject, machine }: RowProps) => {
  const since = standing === null ? null : standingSince(node);
  return (
    <div class="row" data-standing={standing ?? 'unknown'} data-cursor={isCursor} data-agent={node.id}>
      <a
        class="row-link"
        href={hashOf(node.id)}
        aria-current={isOpen ? 'page' : undefined}
        onClick={(event) => {
          // The browser opens a new tab itself.
          if (event.metaKey || event.ctrlKey || event.shiftKey) return;
          event.preventDefault();
          open(node.id);
        }}
      >
        <Mark standing={standing} />
        <bdi class="row-name">{visible(nameOf(node))}</bdi>
        <span class="row-time">{since !== null && <Since at={since} />}</span>
        <span class="row-detail">
          <Detail node={node} standing={standing} showProject={showProject} machine={machine} />
        </span>
      </a>
      {standing === 'question' && node.question && (
        <QuickAnswer nodeId={node.id} question={node.question} more={(node.questions ?? 1) - 1} />
      )}
    </div>
  );
});

function Detail({
  node,
  standing,
  showProject,
  machine,
}: Pick<RowProps, 'node' | 'standing' | 'showProject' | 'machine'>) {
  const parts = [];
  if (standing === 'working' && node.tool !== undefined) {
    parts.push(
      <span class="row-tool" key="tool">
        <span class="visually-hidden">working: </span>
        {visible(node.tool)}
        {node.tool_since !== undefined && (
          <>
            {' '}
            <Since at={node.tool_since} />
          </>
        )}
      </span>,
    );
  } else {
    parts.push(
      <span class="row-state" key="state">
        {standing === null ? `was ${node.state ?? node.status}` : STANDING_WORDS[standing]}
      </span>,
    );
  }
  const shortId = shortIdOf(node);
  if (shortId !== null) parts.push(<bdi key="id">{visible(shortId)}</bdi>);
  if (showProject) parts.push(<bdi key="project">{visible(splitPath(node.cwd).folder)}</bdi>);
  if (machine !== null) parts.push(<bdi key="machine">{visible(machine)}</bdi>);
  if (node.model !== undefined) parts.push(<bdi key="model">{visible(node.model)}</bdi>);
  if (node.context !== undefined) parts.push(<span key="context">{percent(node.context.used, node.context.max)}</span>);
  if (node.cost !== undefined && node.cost > 0) parts.push(<span key="cost">{dollars(node.cost)}</span>);
  return <>{parts}</>;
}
