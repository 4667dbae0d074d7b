/** The page's layout: the roster at the side, the conversation in the middle, the inspector if it is wanted. */
import type { ComponentType } from 'preact';
import { daemon, live } from '../state/connection.ts';
import { type DialogName, dialog } from '../state/dialogs.ts';
import { openNode } from '../state/fleet.ts';
import { openId } from '../state/opened.ts';
import { inspectorOpen } from '../state/prefs.ts';
import { Banner } from './banner.tsx';
import { ConversationPane } from './conversation.tsx';
import { lazy } from './lazy.tsx';
import { Notices } from './notices.tsx';
import { RosterPane } from './roster-pane.tsx';

const part = (name: keyof typeof import('./parts.ts')) => lazy(async () => (await import('./parts.ts'))[name]);

const Inspector = part('Inspector');
const TokenEntry = part('TokenEntry');
const DIALOGS: Record<DialogName, ComponentType> = {
  spawn: part('Spawn'),
  settings: part('Settings'),
  palette: part('Palette'),
  help: part('Help'),
  share: part('Share'),
  'stop-all': part('StopAll'),
  machines: part('Machines'),
};

export function Shell() {
  const inspects = inspectorOpen.value && openNode.value !== null;
  const pane = openId.value === null ? 'roster' : inspects ? 'inspector' : 'conversation';
  const Dialog = dialog.value === null ? null : DIALOGS[dialog.value];
  return (
    <div class="page" data-live={live.value}>
      <Banner />
      <div class="shell" data-pane={pane}>
        <RosterPane />
        <ConversationPane />
        {inspects && <Inspector />}
      </div>
      {daemon.value.obstacle === 'token' && <TokenEntry />}
      {Dialog && <Dialog key={dialog.value} />}
      <Notices />
    </div>
  );
}
