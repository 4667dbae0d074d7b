/** The page's layout. */
import { computed } from '@preact/signals';
import type { ComponentType } from 'preact';
import { useEffect, useMemo, useState } from 'preact/hooks';
import type { ChatProps } from '../chat/contract.ts';
import { linkTo, nodes, openId, openNode } from '../state/store.ts';

export function Shell() {
  return (
    <div class="shell" data-pane={openId.value === null ? 'roster' : 'conversation'}>
      <nav class="pane roster" aria-label="Agents">
        <ul>
          {[...nodes.value.values()].map((node) => (
            <li key={node.id}>
              <button type="button" class="button ghost" onClick={() => (openId.value = node.id)}>
                {node.name ?? node.id}
              </button>
            </li>
          ))}
        </ul>
      </nav>
      <main class="pane conversation">
        {openNode.value && <Conversation key={openId.value} nodeId={openId.value as string} />}
      </main>
    </div>
  );
}

function Conversation({ nodeId }: { nodeId: string }) {
  const [Chat, setChat] = useState<ComponentType<ChatProps> | null>(null);
  useEffect(() => {
    import('../chat/chat.tsx').then((module) => setChat(() => module.default));
  }, []);
  const link = useMemo(() => linkTo(nodeId), [nodeId]);
  const node = useMemo(() => computed(() => openNode.value ?? (nodes.peek().get(nodeId) as never)), [nodeId]);
  return Chat && <Chat node={node} link={link} seen={() => {}} />;
}
