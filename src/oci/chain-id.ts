/** ChainIDs: the names of layer stacks. OCI Image Specification, config.md "Layer ChainID". */
import { asChainID, type ChainID, type DiffID, digestOf } from './digest.ts';

/** The chainID of `diffID` on top of `parent`; a base layer's chainID is its diffID. */
export function chainID(parent: ChainID | undefined, diffID: DiffID): ChainID {
  return asChainID(parent === undefined ? (diffID as string) : digestOf(`${parent} ${diffID}`));
}

/** The chainIDs of each prefix of a stack, base first; the last names the whole stack. */
export function chainIDs(diffIDs: readonly DiffID[]): ChainID[] {
  let parent: ChainID | undefined;
  return diffIDs.map((diffID) => {
    parent = chainID(parent, diffID);
    return parent;
  });
}
