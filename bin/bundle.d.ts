export const BUILT_FROM: string;
export function findBundle(root: string): string | null;
export function digestSources(root: string, sources: readonly string[]): string;
