/** Files that come with a prompt → what pi takes: pictures as pictures, text as text. Pure. */
import { AGENT_LIMITS, type Attachment, type ImagePart } from '../protocol/agent.ts';
import type { PiContent } from './pi.ts';

/** The file cannot go with a prompt: the sentence is what its sender is told. */
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

/** With its padding or without. */
function isBase64(text: string): boolean {
  const padding = /={0,2}$/.exec(text)?.[0].length ?? 0;
  const left = (text.length - padding) % 4;
  return /^[A-Za-z0-9+/]*={0,2}$/.test(text) && left !== 1 && (padding === 0 || padding === 4 - left);
}

/**
 * @param text what the person wrote; the files come behind it
 * @throws AttachmentProblem
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

/** The name alone, fit to stand in the prompt. */
function fileNameOf(filename: string): string {
  const name = filename.replace(/^.*[/\\]/, '').replace(/[\p{Cc}\p{Cs}"<>&]/gu, '_');
  if (name === '') throw new AttachmentProblem('A file needs a name');
  return name.slice(0, 255);
}

function imageTypeOf({ filename, mimeType }: Attachment): string | null {
  const known = Object.values(IMAGE_TYPES);
  if (mimeType !== undefined && known.includes(mimeType)) return mimeType;
  const extension = /\.([^.]+)$/.exec(filename)?.[1]?.toLowerCase() ?? '';
  // What says of itself that it is something else is not believed to be a picture because of its name.
  const isUntold = mimeType === undefined || mimeType === '' || mimeType === 'application/octet-stream';
  return isUntold ? (IMAGE_TYPES[extension] ?? null) : null;
}

function decodeText(name: string, data: string): string {
  const bytes = Buffer.from(data, 'base64');
  try {
    const text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
    if (!text.includes('\0')) return text;
  } catch {
    // Told below.
  }
  throw new AttachmentProblem(`${name} is neither a picture that pi knows nor text`);
}
