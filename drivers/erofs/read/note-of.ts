/** An image's note alone: a few bytes of each layer, since a stack may have hundreds. */
import { closeSync, openSync, readSync } from 'node:fs';
import { type LayerNote, NOTE_SIZE, readNote } from '../format/note.ts';

export function noteOf(path: string): LayerNote {
  const fd = openSync(path, 'r');
  try {
    const note = Buffer.alloc(NOTE_SIZE);
    readSync(fd, note, 0, NOTE_SIZE, 0);
    return readNote(note);
  } finally {
    closeSync(fd);
  }
}
