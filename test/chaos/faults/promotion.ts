import { faultOfService } from "./fault.ts";

/** A synchronous standby takes the place of its primary, which is killed. */
export const promotion = faultOfService({
  name: "promotion",
  lane: "databases",
  async inject({ databases }, { hold }) {
    const { name, promotable } = databases.find((database) => database.promotable !== null)!;
    await promotable!.promoteStandby(() => hold(500, 4_000));
    return { target: name };
  },
});
