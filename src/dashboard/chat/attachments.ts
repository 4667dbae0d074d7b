/** Reads the files that go with a prompt, and shrinks pictures to the size that models use. */
import { AGENT_LIMITS, type Attachment } from '../../protocol/agent.ts';

/** Models scale larger pictures down to about this. */
const MAX_PICTURE_PX = 2000;
const KEPT_PICTURE_BYTES = 1_500_000;

/** The size of a file once decoded, in bytes. */
export function sizeOf({ data }: Attachment): number {
  return Math.floor((data.length * 3) / 4);
}

/**
 * Adds files to those that are there.
 *
 * @returns the files that fit, and a sentence about those that do not
 */
export function addFiles(
  present: readonly Attachment[],
  added: readonly Attachment[],
): { files: Attachment[]; problem: string | null } {
  const files = [...present];
  let total = present.reduce((sum, file) => sum + sizeOf(file), 0);
  let problem: string | null = null;
  for (const file of added) {
    if (total + sizeOf(file) > AGENT_LIMITS.attachmentBytes) {
      const limit = Math.round(AGENT_LIMITS.attachmentBytes / 1024 / 1024);
      problem = `${file.filename} does not fit: the files of one prompt may have ${limit} MB together.`;
      continue;
    }
    total += sizeOf(file);
    files.push({ ...file, filename: uniqueName(file.filename, files) });
  }
  return { files, problem };
}

/** An agent answers by name, so no two have the same. */
function uniqueName(name: string, files: readonly Attachment[]): string {
  const dot = name.lastIndexOf('.');
  const [base, extension] = dot > 0 ? [name.slice(0, dot), name.slice(dot)] : [name, ''];
  let unique = name;
  for (let count = 2; files.some(({ filename }) => filename === unique); count++)
    unique = `${base}-${count}${extension}`;
  return unique;
}

/** @throws if the file can't be read */
export async function readFile(file: File): Promise<Attachment> {
  const picture = file.type.startsWith('image/') && file.size > KEPT_PICTURE_BYTES ? await shrink(file) : null;
  const blob = picture ?? file;
  const filename = picture === null ? file.name : file.name.replace(/\.\w+$/, '.jpg');
  const attachment: Attachment = { filename: filename || 'pasted.png', data: await toBase64(blob) };
  if (blob.type !== '') attachment.mimeType = blob.type;
  return attachment;
}

/** Null if the browser does not know the format: the file is then sent unchanged. */
async function shrink(file: File): Promise<Blob | null> {
  try {
    const bitmap = await createImageBitmap(file);
    const scale = Math.min(1, MAX_PICTURE_PX / Math.max(bitmap.width, bitmap.height));
    const canvas = document.createElement('canvas');
    canvas.width = Math.max(1, Math.round(bitmap.width * scale));
    canvas.height = Math.max(1, Math.round(bitmap.height * scale));
    canvas.getContext('2d')?.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
    bitmap.close();
    return await new Promise((resolve) => canvas.toBlob(resolve, 'image/jpeg', 0.85));
  } catch {
    return null;
  }
}

function toBase64(blob: Blob): Promise<string> {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(String(reader.result).replace(/^[^,]*,/, ''));
    reader.onerror = () => reject(reader.error);
    reader.readAsDataURL(blob);
  });
}
