import { useEffect, useMemo } from "preact/hooks";

/** Opens something for as long as the component is there and `key` stays the same. */
export function useOpened<Opened extends Disposable>(open: () => Opened, key: string): Opened {
  // The key stands for all that `open` depends on.
  const opened = useMemo(open, [key]);
  useEffect(() => () => opened[Symbol.dispose](), [opened]);
  return opened;
}
