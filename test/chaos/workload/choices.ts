import { SeededRandom } from "../../fault/support/random.ts";

// Choices that follow from a seed.

export function chance(random: SeededRandom, share: number): boolean {
  return random.next() < share;
}

/** From `min` to below `max`. */
export function between(random: SeededRandom, min: number, max: number): number {
  return min + random.next() * (max - min);
}

export function choose<Item>(random: SeededRandom, items: readonly Item[]): Item {
  return items[Math.floor(random.next() * items.length)]!;
}

/** Chooses a key by its weight. */
export function chooseWeighted<Key extends string>(random: SeededRandom, weights: Readonly<Record<Key, number>>): Key {
  const entries = Object.entries(weights) as [Key, number][];
  let left = random.next() * entries.reduce((sum, [, weight]) => sum + weight, 0);
  return entries.find(([, weight]) => (left -= weight) < 0)?.[0] ?? entries.at(-1)![0];
}

/** Returns the random numbers of one actor, which follow from the seed and its name. */
export function randomOf(seed: number, name: string): SeededRandom {
  let mixed = seed >>> 0;
  for (const character of name) mixed = (Math.imul(mixed, 31) + character.charCodeAt(0)) >>> 0;
  return new SeededRandom(mixed);
}
