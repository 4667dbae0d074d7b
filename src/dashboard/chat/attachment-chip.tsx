import type { Attachment } from '../../protocol/agent.ts';
import { sizeOf } from './attachments.ts';
import { Icon } from './icons.tsx';
import { visible } from './visible.ts';

/** A file that goes with the prompt being written. */
export function AttachmentChip({ file, remove }: { file: Attachment; remove(): void }) {
  const picture = /^image\/(?:png|jpeg|gif|webp)$/.test(file.mimeType ?? '');
  return (
    <li>
      {picture ? <img src={`data:${file.mimeType};base64,${file.data}`} alt="" /> : <Icon name="file" />}
      <span class="attachment-name">{visible(file.filename)}</span>
      <span class="soft">{Math.max(1, Math.round(sizeOf(file) / 1024)).toLocaleString('en')} KB</span>
      <button type="button" class="chat-tool" aria-label={`Remove ${file.filename}`} onClick={remove}>
        <Icon name="close" />
      </button>
    </li>
  );
}
