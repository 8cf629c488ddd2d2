import { NAMESPACE_CHARS_MAX } from "./limits.ts";

/**
 * The first shard: the database of the servers' settings. It also stores what concerns the whole service, such as its
 * namespaces, the other shards and the tokens.
 */
export const HOME_SHARD = "home";

/** The names of shards. */
export const SHARD_NAME = new RegExp(`^[A-Za-z0-9._-]{1,${NAMESPACE_CHARS_MAX}}$`);

/** Whether new namespaces are placed on a shard. */
export type ShardState = "open" | "closed";

/** A shard besides the first one. */
export interface ShardEntry {
  name: string;
  /** The URL of its database, with the schema as the parameter `schema`. May hold a password. */
  url: string;
  /** The URL of a standby of this database, which serves reads; null: there is none. */
  standbyUrl: string | null;
  state: ShardState;
  addedAt: Date;
}
