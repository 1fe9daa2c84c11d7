/** Directory trees as comparable records; the same code as the published conformance suite uses. */
export { compareTrees, snapshotTree, type TreeOptions, type TreeRecord } from '../../drivers/conformance/tree.ts';
