/** What `org.opencontainers.image.ref.name` says: `[registry/]repository[:tag]`, or a bare tag as umoci writes it. */
import { isTag } from '../oci/reference.ts';

export interface RefName {
  /** Everything before the tag; empty for a bare tag. */
  readonly repository: string;
  /** The repository without a registry in front: `library/alpine` of `docker.io/library/alpine`. */
  readonly withoutRegistry: string;
  readonly tag?: string;
}

export function splitRefName(text: string): RefName {
  const name = text.replace(/@.*$/s, '');
  const colon = name.lastIndexOf(':');
  const hasTag = colon > name.lastIndexOf('/') && isTag(name.slice(colon + 1));
  const repository = hasTag ? name.slice(0, colon) : name;
  const slash = repository.indexOf('/');
  const isHost = slash > 0 && /[.:[]|^localhost$/.test(repository.slice(0, slash));
  const withoutRegistry = isHost ? repository.slice(slash + 1) : repository;
  return hasTag ? { repository, withoutRegistry, tag: name.slice(colon + 1) } : { repository, withoutRegistry };
}
