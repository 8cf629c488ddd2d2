interface Lost {
  state: "lost";
}

/** Reports only the first notice of each outage. The events that follow show that the stream has resumed. */
export function reportOnce<Notice extends { state: "lost" | "resumed" }>(
  report: (notice: Extract<Notice, Lost>) => void,
): (notice: Notice) => void {
  let isLost = false;
  return (notice) => {
    if (notice.state === "lost" && !isLost) report(notice as Extract<Notice, Lost>);
    isLost = notice.state === "lost";
  };
}
