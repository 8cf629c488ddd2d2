/** Lines that may break the rules of the prose: where, which part of the line, and why. */
export const EXCEPTIONS: readonly { readonly file: string; readonly problem: string; readonly why: string }[] = [];
