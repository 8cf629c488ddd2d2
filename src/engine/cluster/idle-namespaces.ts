import type { Kysely } from "kysely";
import type { Logger } from "pino";
import { Loop } from "../../async/loop.ts";
import { ScanPace } from "../../async/scan-pace.ts";
import type { Database } from "../../store/schema.ts";
import { readWork } from "../../store/tasks/namespace-work.ts";
import type { NamespaceWork } from "../../store/tasks/namespace-work.ts";

const CHECK_MS = 1_000;
/** How often a namespace with tasks is checked. Its loops find the tasks by themselves. */
const BUSY_CHECK_MS = 10_000;
/** How long the result of a check is valid. If the next check takes longer, the loops poll by themselves. */
const VALID_MS = 2_000;
/** The maximum number of namespaces per statement. A slow statement delays only the checks of its own namespaces. */
const GROUP_MAX = 50;

/** A check that takes longer is repeated after 49 times its time. Meanwhile the loops poll by themselves. */
const FREE_MS = 100;

/** @param onSend called when the statement has a connection, and is sent */
type ReadWork = (namespaces: readonly string[], onSend: () => void) => Promise<ReadonlyMap<string, NamespaceWork>>;

/**
 * Checks once a second which namespaces of a shard are idle, with one statement for all of them. Without the check, the
 * loops of each idle namespace would send 15 transactions a second, which find nothing.
 *
 * An idle namespace only leaves out the polls of its loops. A change that this process knows of kicks the loops as
 * before. Work that no notification has announced is found by the next check, as late as by a poll.
 */
export class IdleNamespaces {
  readonly #read: ReadWork;
  readonly #log: Logger;
  readonly #groups = new Set<Group>();

  constructor({ db, log, read }: IdleNamespacesParts) {
    const readAll: ReadWork = (namespaces, onSend) =>
      db.connection().execute((connection) => {
        onSend();
        return readWork(connection, namespaces);
      });
    this.#read = read ?? readAll;
    this.#log = log;
  }

  /**
   * Starts to check a namespace. The caller must end the watch with `leave`.
   *
   * @param onTasks called when a namespace that was idle has tasks
   */
  watch(namespace: string, onTasks: () => void): IdleWatch {
    let group = [...this.#groups].find(({ size }) => size < GROUP_MAX);
    if (group === undefined) {
      group = new Group(this.#read, this.#log);
      this.#groups.add(group);
    }
    const watch = new IdleWatch(namespace, onTasks);
    group.add(watch);
    return watch;
  }

  async leave(watch: IdleWatch): Promise<void> {
    for (const group of this.#groups) {
      if (!group.remove(watch) || group.size > 0) continue;
      this.#groups.delete(group);
      await group.stop();
    }
  }
}

interface IdleNamespacesParts {
  db: Kysely<Database>;
  log: Logger;
  /** Replaces the statement. */
  read?: ReadWork;
}

/** The result of the last check of a namespace. */
export class IdleWatch {
  readonly namespace: string;
  readonly #onTasks: () => void;
  #work: NamespaceWork = { tasks: true, sessions: true, removals: true, retained: true };
  /** When the statement of the last check was sent, by performance.now(). */
  #checkedAt = -Infinity;

  constructor(namespace: string, onTasks: () => void) {
    this.namespace = namespace;
    this.#onTasks = onTasks;
  }

  /** Whether the namespace may have such work: the last check found some, or is not valid any more. */
  mayHave(work: keyof NamespaceWork): boolean {
    return this.#work[work] || performance.now() - this.#checkedAt > VALID_MS;
  }

  /** Whether the last check found no tasks, however long ago. */
  get wasIdle(): boolean {
    return !this.#work.tasks;
  }

  get isDue(): boolean {
    return this.wasIdle || performance.now() - this.#checkedAt >= BUSY_CHECK_MS;
  }

  note(work: NamespaceWork, checkedAt: number): void {
    const { wasIdle } = this;
    this.#work = work;
    this.#checkedAt = checkedAt;
    if (work.tasks && wasIdle) this.#onTasks();
  }
}

/** Namespaces that are checked in one statement. */
class Group {
  readonly #read: ReadWork;
  readonly #watches = new Set<IdleWatch>();
  readonly #loop: Loop;
  /** Index entries of ended tasks may make the checks of busy namespaces slow, so these have a statement of their own. */
  readonly #paces = { idle: newPace(), busy: newPace() };

  constructor(read: ReadWork, log: Logger) {
    this.#read = read;
    this.#loop = new Loop({ name: "idle-namespaces", everyMs: CHECK_MS, log, turn: () => this.#check() });
    this.#loop.start();
  }

  get size(): number {
    return this.#watches.size;
  }

  add(watch: IdleWatch): void {
    this.#watches.add(watch);
  }

  /** @returns whether the group had the watch */
  remove(watch: IdleWatch): boolean {
    return this.#watches.delete(watch);
  }

  stop(): Promise<void> {
    return this.#loop.stop();
  }

  async #check(): Promise<void> {
    const due = [...this.#watches].filter(({ isDue }) => isDue);
    const { idle = [], busy = [] } = Object.groupBy(due, ({ wasIdle }) => (wasIdle ? "idle" : "busy"));
    await this.#checkAll(idle, this.#paces.idle);
    await this.#checkAll(busy, this.#paces.busy);
  }

  async #checkAll(watches: readonly IdleWatch[], pace: ScanPace): Promise<void> {
    if (watches.length === 0 || !pace.isDue) return;
    let sentAt = -Infinity;
    const onSend = () => {
      sentAt = performance.now();
    };
    const found = await pace.run(() =>
      this.#read(
        watches.map(({ namespace }) => namespace),
        onSend,
      ),
    );
    const checkedAt = pace.isDue ? sentAt : -Infinity; // Until the next check, the loops poll.
    for (const [index, watch] of watches.entries()) {
      const work = found.get(watch.namespace)!;
      // One sweep removes the expired sessions of all namespaces.
      watch.note({ ...work, sessions: work.sessions && index === 0 }, checkedAt);
    }
  }
}

function newPace(): ScanPace {
  return new ScanPace(undefined, { freeMs: FREE_MS, pauseMsMax: Infinity });
}
