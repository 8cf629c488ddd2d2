/** Error for a change of shards that is refused. Nothing was changed. */
export class PlacementError extends Error {
  constructor(message: string) {
    super(message);
    this.name = "PlacementError";
  }
}
