import { useState } from 'preact/hooks';
import type { ImagePart } from '../../protocol/agent.ts';
import { imageUrl } from './message.ts';

/** Pictures of a message or a result: small at first, and as wide as possible once pressed. */
export function Images({ images }: { images: readonly ImagePart[] }) {
  if (images.length === 0) return null;
  return (
    <div class="images">
      {images.map((image, index) => (
        <Picture key={index} image={image} label={`Picture ${index + 1} of ${images.length}`} />
      ))}
    </div>
  );
}

function Picture({ image, label }: { image: ImagePart; label: string }) {
  const [large, setLarge] = useState(false);
  return (
    <button type="button" class="picture" aria-expanded={large} onClick={() => setLarge(!large)}>
      <img src={imageUrl(image)} alt={label} decoding="async" />
    </button>
  );
}
