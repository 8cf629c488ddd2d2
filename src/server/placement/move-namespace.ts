import { sql } from "kysely";
import type { Kysely, Transaction } from "kysely";
import { pause } from "../../async/pause.ts";
import { HOME_SHARD } from "../../domain/shard.ts";
import { lockPlacement, readShards } from "../../store/access/shards.ts";
import { writeNamespace } from "../../store/access/namespaces.ts";
import { openDatabase } from "../../store/database.ts";
import type { Store } from "../../store/database.ts";
import { migrate } from "../../store/migrate.ts";
import { closeNamespace, dropMovedRows, openNamespace } from "../../store/moves/moved-namespaces.ts";
import {
  beginMove,
  cancelMove,
  closeForMove,
  finishMove,
  forgetMove,
  moveLock,
  readMove,
} from "../../store/moves/move-records.ts";
import type { Move } from "../../store/moves/move-records.ts";
import { RowTransfer } from "../../store/moves/row-transfer.ts";
import type { Transferred } from "../../store/moves/row-transfer.ts";
import { countLiveServers } from "../../store/session-queries.ts";
import { readSnapshot } from "../../store/tapes/snapshots.ts";
import type { Database } from "../../store/schema.ts";
import { CONNECTIONS_MAX, withHomeDatabase } from "./home-database.ts";
import { changeAsOperator, operatorName } from "./operator.ts";
import { PlacementError } from "./placement-error.ts";

type Flags = Readonly<Record<string, string | undefined>>;

/** A pass that copies fewer tasks is short enough to close the namespace after it. */
const SHORT_PASS_TASKS = 200;
const PASSES_MAX = 10;
/** How long servers may take to leave a namespace: the lease of a dead one, and some time. */
const LEAVE_MS_MAX = 90_000;
const LEAVE_POLL_MS = 200;

/** What a move does at the moment. */
export type MoveNotice =
  | { step: "copying" | "copying the rest"; done: Readonly<Transferred> }
  | { step: "closing"; servers: number }
  | { step: "moved" | "undone" | "cleaned" };

export interface MoveOptions {
  /** How long to wait for the locks of the tables. */
  waitMs: number;
  onNotice: (notice: MoveNotice) => void;
}

/**
 * Moves a namespace to another shard, while servers run. Ended tasks are copied while the namespace is served. Then all
 * servers leave it: running tasks are handed over, calls get NAMESPACE_UNAVAILABLE and clients retry. The rest is copied,
 * and servers join the namespace on the new shard. That takes about as long as two reads of the directory, if no server
 * is dead. The old shard refuses all further writes of the namespace.
 *
 * If the process dies, another call continues, or undoMove takes the move back.
 *
 * @throws PlacementError, FenceBlocked, and what withHomeDatabase throws
 */
export function moveNamespace(
  flags: Flags,
  { name, to }: { name: string; to: string },
  options: MoveOptions,
): Promise<void> {
  return withMove(flags, name, async (moving) => {
    let move = await readMove(moving.home.db, name);
    if (move === undefined) move = await moving.begin(to);
    else if (move.to !== to || move.phase === "moved") throw refusalOf(move, to);
    await moving.finish(move, options);
  });
}

/** Takes a move back that is not finished. @throws PlacementError, FenceBlocked, and what withHomeDatabase throws */
export function undoMove(flags: Flags, name: string, options: MoveOptions): Promise<void> {
  return withMove(flags, name, async (moving) => {
    const move = await readMove(moving.home.db, name);
    if (move === undefined || move.phase === "moved") throw new PlacementError(`no move of ${name} is under way`);
    await moving.undo(move, options);
  });
}

/**
 * Deletes the rows of a namespace on the shard that it has left. Cursors of FollowTasks of before the move are refused
 * from then on.
 *
 * @throws PlacementError, and what withHomeDatabase throws
 */
export function cleanMove(flags: Flags, name: string, options: Pick<MoveOptions, "onNotice">): Promise<void> {
  return withMove(flags, name, async (moving) => {
    const move = await readMove(moving.home.db, name);
    if (move?.phase !== "moved") throw new PlacementError(`${name} has left no rows on another shard`);
    await moving.clean(move, options);
  });
}

function refusalOf({ namespace, from, to, phase }: Move, wanted: string): PlacementError {
  if (phase === "moved") {
    return new PlacementError(`rows of ${namespace} are left on ${from}: run spool namespace clean ${namespace} first`);
  }
  return new PlacementError(`${namespace} is being moved to ${to}, and not to ${wanted}: finish this move or undo it`);
}

/** Does work while no other process moves the namespace. */
function withMove(flags: Flags, name: string, work: (moving: Moving) => Promise<void>): Promise<void> {
  return withHomeDatabase(flags, (home) =>
    home.db.connection().execute(async (connection) => {
      const lock = moveLock(name);
      const { rows } = await sql<{ locked: boolean }>`select pg_try_advisory_lock(${lock}) as locked`.execute(
        connection,
      );
      if (!rows[0]!.locked) throw new PlacementError(`another process moves ${name} now`);
      try {
        await work(new Moving(home, name));
      } finally {
        await sql`select pg_advisory_unlock(${lock})`.execute(connection);
      }
    }),
  );
}

class Moving {
  readonly home: Store;
  readonly #name: string;

  constructor(home: Store, name: string) {
    this.home = home;
    this.#name = name;
  }

  /** Records the move. @throws PlacementError */
  async begin(to: string): Promise<Move> {
    const namespace = this.#name;
    return this.#record("namespace.move", { to }, async (trx) => {
      await lockPlacement(trx);
      const names = [HOME_SHARD, ...(await readShards(trx)).map(({ name }) => name)];
      if (!names.includes(to)) throw new PlacementError(`there is no shard ${to}: spool shard list shows all`);
      const row = await trx.selectFrom("namespaces").select("shard").where("name", "=", namespace).executeTakeFirst();
      // The namespace of the servers' settings needs no row until it is moved.
      if (row === undefined)
        await writeNamespace(trx, { name: namespace, limits: null, by: operatorName(), shard: HOME_SHARD });
      const from = row?.shard ?? HOME_SHARD;
      if (from === to) throw new PlacementError(`${namespace} lives on ${to} already`);
      await beginMove(trx, { namespace, from, to });
      return { namespace, from, to, phase: "copying" };
    });
  }

  async finish(move: Move, { waitMs, onNotice }: MoveOptions): Promise<void> {
    const { namespace, from, to } = move;
    await using source = await this.#open(from);
    await using target = await this.#open(to);
    await migrate(target.db);
    await openNamespace(target.db, namespace, waitMs);
    await using transfer = await this.#transfer(move);
    if (move.phase === "copying") {
      for (let pass = 1; pass <= PASSES_MAX; pass++) {
        const { tasks } = await transfer.copyTasks("ended", (done) => onNotice({ step: "copying", done }));
        if (tasks < SHORT_PASS_TASKS) break;
      }
      await this.home.db.transaction().execute((trx) => closeForMove(trx, namespace));
    }
    await this.#untilLeft(source.db, onNotice);
    await closeNamespace(source.db, namespace, waitMs);
    await transfer.copyTasks("all", (done) => onNotice({ step: "copying the rest", done }));
    await transfer.copyOthers();
    if (!(await transfer.isEqual())) throw new PlacementError("the copy differs: run the command again");
    const opening = await readSnapshot(target.db, { isGiven: true });
    await this.#record("namespace.moved", { from, to }, (trx) => finishMove(trx, move, opening));
    onNotice({ step: "moved" });
  }

  async undo(move: Move, { waitMs, onNotice }: MoveOptions): Promise<void> {
    const { namespace, from, to } = move;
    await using source = await this.#open(from);
    await openNamespace(source.db, namespace, waitMs);
    await this.#record("namespace.move_undone", { from, to }, (trx) => cancelMove(trx, namespace));
    await using transfer = await this.#transfer(move);
    await transfer.deleteAll("target");
    onNotice({ step: "undone" });
  }

  async clean(move: Move, { onNotice }: Pick<MoveOptions, "onNotice">): Promise<void> {
    const { namespace, from } = move;
    await using source = await this.#open(from);
    await using transfer = await this.#transfer(move);
    await dropMovedRows(source.db, namespace);
    await transfer.deleteAll("source");
    await this.#record("namespace.cleaned", { from }, (trx) => forgetMove(trx, namespace));
    onNotice({ step: "cleaned" });
  }

  /** Waits until no server has a session in the namespace. */
  async #untilLeft(db: Kysely<Database>, onNotice: MoveOptions["onNotice"]): Promise<void> {
    const until = performance.now() + LEAVE_MS_MAX;
    for (let before = -1; ;) {
      const servers = await countLiveServers(db, this.#name);
      if (servers !== before) onNotice({ step: "closing", servers });
      if (servers === 0) return;
      if (performance.now() > until) {
        throw new PlacementError(`${servers} servers still serve ${this.#name}: stop those of earlier versions`);
      }
      before = servers;
      await pause(LEAVE_POLL_MS);
    }
  }

  async #transfer({ namespace, from, to }: Move): Promise<RowTransfer> {
    return RowTransfer.open({ sourceUrl: await this.#urlOf(from), targetUrl: await this.#urlOf(to), namespace });
  }

  async #open(shard: string): Promise<Pick<Store, "db"> & AsyncDisposable> {
    const { db, close } = await openDatabase({ url: await this.#urlOf(shard), connectionsMax: CONNECTIONS_MAX });
    return { db, [Symbol.asyncDispose]: close };
  }

  async #urlOf(shard: string): Promise<string> {
    if (shard === HOME_SHARD) return this.home.url!;
    const entry = (await readShards(this.home.db)).find(({ name }) => name === shard);
    if (entry === undefined) throw new PlacementError(`there is no shard ${shard}: spool shard list shows all`);
    return entry.url;
  }

  /** Changes the first shard, and records it in the audit log in the same commit. */
  #record<Result>(
    action: string,
    details: Readonly<Record<string, string>>,
    change: (trx: Transaction<Database>) => Promise<Result>,
  ): Promise<Result> {
    const target = this.#name;
    return changeAsOperator(this.home.db, async (trx, record) => {
      const result = await change(trx);
      record({ action, target, namespace: target, details });
      return result;
    });
  }
}
