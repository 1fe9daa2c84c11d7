/**
 * Images that lie in a file or directory, seen the way a pull sees a registry: manifests and blobs by descriptor.
 * Everything in such an archive is as untrusted as an answer from the network.
 */
import type { Descriptor } from '../oci/descriptor.ts';

/** One image of an archive: what its names lead to. */
export interface ArchivedImage {
  /** An index or a manifest. */
  readonly root: Descriptor;
  /** As the archive spells them: full names, or bare tags. None for an image without a name. */
  readonly names: readonly string[];
}

/** Content by descriptor. Bytes come out unverified, as from a registry: whoever takes them hashes them. */
export interface ContentReader {
  /** The bytes of a manifest, index or config. NOT_FOUND when it is not there. */
  readManifest(descriptor: Descriptor): Promise<Uint8Array>;
  /** A blob's bytes from `offset` to its end. NOT_FOUND when it is not there. */
  openBlob(descriptor: Descriptor, offset?: number): AsyncIterable<Uint8Array>;
  /** Whether that content is there: an index may be without some of its platforms. */
  has(descriptor: Descriptor): Promise<boolean>;
}

/** An open archive. Closing it makes its streams fail; idempotent. */
export interface ImageArchive extends ContentReader, AsyncDisposable {
  /** For messages: `oci-archive:images.tar`. */
  readonly label: string;
  readonly images: readonly ArchivedImage[];
}
