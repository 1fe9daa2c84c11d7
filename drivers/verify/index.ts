/** Checks of layers that are kept as files; loaded when they are asked for. */
export { verifyImplied } from './implied.ts';
export { type TreeToVerify, verifyTree } from './tree.ts';
