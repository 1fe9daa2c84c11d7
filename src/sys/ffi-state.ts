/** Whether koffi is loaded, for those who would not load it for this alone. */
export const ffi: { isLoaded: boolean } = { isLoaded: false };
