/** The files of a prompt → content for pi: pictures as pictures, text as text. Pure. */
import { AGENT_LIMITS, type Attachment, type ImagePart } from '../protocol/agent.ts';
import type { PiContent } from './pi.ts';

/** A file that cannot go with a prompt. The message is the sentence for the sender. */
export class AttachmentProblem extends Error {
  constructor(sentence: string) {
    super(sentence);
    this.name = 'AttachmentProblem';
  }
}

const IMAGE_TYPES: Readonly<Record<string, string>> = {
  png: 'image/png',
  jpg: 'image/jpeg',
  jpeg: 'image/jpeg',
  gif: 'image/gif',
  webp: 'image/webp',
};

/** Whether the text is base64, with or without its padding. */
function isBase64(text: string): boolean {
  const padding = /={0,2}$/.exec(text)?.[0].length ?? 0;
  const left = (text.length - padding) % 4;
  return /^[A-Za-z0-9+/]*={0,2}$/.test(text) && left !== 1 && (padding === 0 || padding === 4 - left);
}

/**
 * The content of a prompt with files.
 *
 * @param text the person's text; the files follow it
 * @throws AttachmentProblem if a file has no name, is not base64, is neither picture nor text, or all are too large
 */
export function contentOf(text: string, attachments: readonly Attachment[]): PiContent {
  if (attachments.length === 0) return text;
  const images: ImagePart[] = [];
  const texts: string[] = text.trim() === '' ? [] : [text];
  let bytes = 0;
  for (const attachment of attachments) {
    const { filename, data } = attachment;
    const name = fileNameOf(filename);
    if (!isBase64(data)) throw new AttachmentProblem(`${name} is not in base64`);
    bytes += Math.floor((data.replace(/=+$/, '').length * 3) / 4);
    if (bytes > AGENT_LIMITS.attachmentBytes) throw new AttachmentProblem('Files of a prompt have at most 10 MB');
    const mimeType = imageTypeOf(attachment);
    if (mimeType !== null) {
      images.push({ type: 'image', data, mimeType });
      texts.push(`<file name="${name}"></file>`);
    } else {
      texts.push(`<file name="${name}">\n${decodeText(name, data)}\n</file>`);
    }
  }
  return [{ type: 'text', text: texts.join('\n') }, ...images];
}

/** The file's name without folders and without characters that the prompt's markup uses. */
function fileNameOf(filename: string): string {
  const name = filename.replace(/^.*[/\\]/, '').replace(/[\p{Cc}\p{Cs}"<>&]/gu, '_');
  if (name === '') throw new AttachmentProblem('A file needs a name');
  return name.slice(0, 255);
}

function imageTypeOf({ filename, mimeType }: Attachment): string | null {
  const known = Object.values(IMAGE_TYPES);
  if (mimeType !== undefined && known.includes(mimeType)) return mimeType;
  const extension = /\.([^.]+)$/.exec(filename)?.[1]?.toLowerCase() ?? '';
  // The extension counts only if the sender gave no type, or a type that says nothing.
  const isUntold = mimeType === undefined || mimeType === '' || mimeType === 'application/octet-stream';
  return isUntold ? (IMAGE_TYPES[extension] ?? null) : null;
}

function decodeText(name: string, data: string): string {
  const bytes = Buffer.from(data, 'base64');
  try {
    const text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
    if (!text.includes('\0')) return text;
  } catch {
    // The error below says so.
  }
  throw new AttachmentProblem(`${name} is neither a picture that pi knows nor text`);
}
