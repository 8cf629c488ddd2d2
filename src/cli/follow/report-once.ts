interface Lost {
  state: "lost";
}

/** Tells of the first notice of each outage alone. That the stream goes on is seen. */
export function onceAnOutage<Notice extends { state: "lost" | "resumed" }>(
  tell: (notice: Extract<Notice, Lost>) => void,
): (notice: Notice) => void {
  let isLost = false;
  return (notice) => {
    if (notice.state === "lost" && !isLost) tell(notice as Extract<Notice, Lost>);
    isLost = notice.state === "lost";
  };
}
