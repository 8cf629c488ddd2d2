import type { Logger } from "pino";
import type { Store } from "../../store/database.ts";
import { SlotBudget } from "../attempt/slot-budget.ts";
import { IdleNamespaces } from "../cluster/idle-namespaces.ts";
import { StoredBytes } from "../cluster/stored-bytes.ts";
import { WakeupListener } from "../cluster/wakeup-listener.ts";
import { StoreUpkeep } from "../maintenance/store-upkeep.ts";
import { StandbyReads } from "../read/standby-reads.ts";

/** What the engines of a process on one shard share. */
export interface SharedParts {
  /** The slots of the kinds of this process. */
  readonly budget: SlotBudget;
  /** null: servers do not notify each other. */
  readonly listener: WakeupListener | null;
  readonly idle: IdleNamespaces;
  readonly upkeep: StoreUpkeep;
  readonly storedBytes: StoredBytes;
  readonly standby: StandbyReads;
}

export interface SharedSettings {
  /** The maximum number of tasks that run in this process at once. */
  slots: number;
  /** Whether servers notify each other of their commits. Without notifications, they poll once a second. */
  notify: boolean;
}

export function openSharedParts({
  store,
  standbyUrl = null,
  settings: { slots, notify },
  budget = new SlotBudget(slots),
  log,
}: {
  store: Store;
  /** The URL of a standby of the store; null: there is none. */
  standbyUrl?: string | null;
  settings: SharedSettings;
  /** The slots, if the engines of another shard use them, too. */
  budget?: SlotBudget;
  log: Logger;
}): SharedParts {
  const standby = new StandbyReads({ primary: store.priorityDb, log });
  standby.use(standbyUrl);
  return {
    budget,
    listener: store.url === null || !notify ? null : new WakeupListener({ url: store.url, log }),
    idle: new IdleNamespaces({ db: store.priorityDb, log }),
    upkeep: new StoreUpkeep({ store, log }),
    storedBytes: new StoredBytes(store.db),
    standby,
  };
}
